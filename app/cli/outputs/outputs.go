// Package outputs puts results where a command line says: files, folders or
// standard output, whole or not at all.
package outputs

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/mediafn/mediafn/api"
	"github.com/mediafn/mediafn/core/errs"
	"github.com/mediafn/mediafn/core/fn"
)

// Stdout is the output that means standard output.
const Stdout = "-"

// Check compares the -o given with what a function makes, before any
// work is done for nothing. s is nil for a flow, which tells nothing.
func Check(s *fn.Spec, outs []string) error {
	if i := slices.Index(outs, Stdout); i >= 0 && len(outs) > 1 {
		return errs.InField("output", "- takes one result alone")
	}
	for i, out := range outs {
		if out == "" {
			return errs.InField("output", "is empty")
		}
		if slices.Contains(outs[:i], out) && !isFolder(out) {
			return errs.InField("output", "%s is there twice", out)
		}
		if err := checkFolder(out); err != nil {
			return err
		}
	}
	if s == nil {
		return nil
	}
	least, most := 0, 0
	for _, slot := range s.Outputs {
		least += slot.Min
		if most += slot.Max; slot.Max == 0 {
			most = 1 << 30
		}
	}
	switch {
	case least > 0 && len(outs) == 0:
		return errs.InField("output", "%s makes a file: say where it goes with -o", s.Name)
	case len(outs) > most:
		return errs.InField("output", "%s makes at most %d file(s), %d place(s) are given", s.Name, most, len(outs))
	}
	return nil
}

// checkFolder finds out early whether out could be made where it is wanted.
func checkFolder(out string) error {
	if out == Stdout {
		return nil
	}
	dir := out
	if !isFolder(out) {
		dir = filepath.Dir(out)
	}
	for {
		info, err := os.Stat(dir)
		switch {
		case errors.Is(err, os.ErrNotExist) && dir != filepath.Dir(dir):
			dir = filepath.Dir(dir)
			continue
		case err == nil && !info.IsDir() || errors.Is(err, unix.ENOTDIR):
			return errs.InField("output", "%s: %s is no folder", out, dir)
		case err == nil && unix.Access(dir, unix.W_OK) == nil:
			return nil
		}
		return &errs.Error{Kind: errs.Denied, Field: "output", Msg: out + ": the folder " + dir + " can't be written to"}
	}
}

// isFolder reports whether results keep their own names below out.
func isFolder(out string) bool {
	if strings.HasSuffix(out, "/") {
		return true
	}
	info, err := os.Stat(out)
	return err == nil && info.IsDir()
}

// Targets says where each result goes: one place each, or one folder for all.
// Several results for one place that is no folder are numbered: shot.jpg
// becomes shot-1.jpg, shot-2.jpg …
func Targets(outs []string, files []api.CallbackFile) ([]string, error) {
	switch {
	case len(files) == 0:
		return nil, nil
	case len(outs) == 0:
		return nil, errs.InField("output", "there are %d result(s): say where they go with -o", len(files))
	case len(outs) > 1 && len(outs) != len(files):
		return nil, errs.InField("output", "there are %d result(s) for %d places", len(files), len(outs))
	case outs[0] == Stdout && len(files) > 1:
		return nil, errs.InField("output", "- takes one result, there are %d", len(files))
	}
	paths := make([]string, len(files))
	for i, f := range files {
		out := outs[min(i, len(outs)-1)]
		switch {
		case out == Stdout:
		case isFolder(out):
			out = filepath.Join(out, ownName(f, i))
		case len(outs) < len(files):
			ext := filepath.Ext(out)
			out = fmt.Sprintf("%s-%d%s", strings.TrimSuffix(out, ext), i+1, ext)
		}
		if slices.Contains(paths, out) { // two components may use one name
			ext := filepath.Ext(out)
			out = fmt.Sprintf("%s-%d%s", strings.TrimSuffix(out, ext), i+1, ext)
		}
		paths[i] = out
	}
	return paths, nil
}

// ownName is the name a result brings, with its folders if it has some.
func ownName(f api.CallbackFile, i int) string {
	if name := filepath.FromSlash(f.Extra.Name); strings.Contains(f.Extra.Name, "/") && filepath.IsLocal(name) {
		return name
	}
	for _, name := range []string{f.Extra.Name, f.Key} {
		if base := filepath.Base(name); name != "" && base != "." && base != ".." && base != "/" {
			return base
		}
	}
	return fmt.Sprintf("result-%d", i+1)
}

// Put puts results at their paths, all or none: each is written beside its
// target first, then all are renamed. fetch writes result i.
func Put(paths []string, fetch func(i int, w io.Writer) error) (err error) {
	var made []string // in order; removed unless all goes well
	defer func() {
		if err != nil {
			for _, path := range slices.Backward(made) {
				_ = os.Remove(path)
			}
		}
	}()
	temps := make([]string, len(paths))
	for i, path := range paths {
		dirs, err := makeFolder(filepath.Dir(path))
		made = append(made, dirs...)
		if err != nil {
			return outputError(path, err)
		}
		temps[i] = filepath.Join(filepath.Dir(path), ".mediafn-"+rand.Text())
		made = append(made, temps[i])
		if err := write(temps[i], func(w io.Writer) error { return fetch(i, w) }); err != nil {
			return outputError(path, err)
		}
	}
	for i, path := range paths {
		if info, err := os.Stat(path); err == nil && info.IsDir() {
			return errs.InField("output", "%s is a folder", path)
		}
		if err := os.Rename(temps[i], path); err != nil {
			return outputError(path, err)
		}
	}
	return nil
}

// makeFolder makes dir and returns what it made, parents first.
func makeFolder(dir string) (made []string, err error) {
	if _, err := os.Stat(dir); err == nil || !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	if made, err = makeFolder(filepath.Dir(dir)); err != nil {
		return made, err
	}
	if err := os.Mkdir(dir, 0o777); err != nil {
		return made, err
	}
	return append(made, dir), nil
}

func write(path string, fill func(io.Writer) error) error {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o666)
	if err != nil {
		return err
	}
	if err = fill(f); err == nil {
		err = f.Sync()
	}
	return errors.Join(err, f.Close())
}

// outputError names the place a result could not be put at.
func outputError(path string, err error) error {
	var own *errs.Error
	if errors.As(err, &own) || errors.Is(err, context.Canceled) {
		return err
	}
	kind := errs.Internal
	switch {
	case errors.Is(err, os.ErrPermission):
		kind = errs.Denied
	case errors.Is(err, os.ErrNotExist), errors.Is(err, os.ErrExist):
		kind = errs.Invalid
	}
	return &errs.Error{Kind: kind, Op: "output", Msg: path, Err: err}
}
