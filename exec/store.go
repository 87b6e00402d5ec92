package exec

import (
	"context"
	"encoding/hex"
	"hash"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"unicode/utf8"

	"golang.org/x/sync/errgroup"

	"github.com/mediafn/mediafn/core/errs"
	"github.com/mediafn/mediafn/core/fn"
	"github.com/mediafn/mediafn/core/job"
	"github.com/mediafn/mediafn/core/media"
	"github.com/mediafn/mediafn/tools/sniff"
)

// store puts a function's outputs under the attempt's key, or where they are
// kept. All are checked before the first one is stored. What was found there is
// stored already.
func (e *Executor) store(ctx context.Context, j *job.Job, spec *fn.Spec, dir string, outs []fn.Output, kept *cached) ([]media.Object, error) {
	if len(outs) == 0 {
		return nil, nil
	}
	// A Root follows no link out of the folder, whatever a tool left there.
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, errs.New(errs.Internal, op, "scratch: %w", err)
	}
	defer root.Close()
	if len(outs) > e.cfg.MaxOutputs {
		return nil, errs.New(errs.TooLarge, spec.Name, "%d outputs, the limit is %d", len(outs), e.cfg.MaxOutputs)
	}
	paths, sizes := make([]string, len(outs)), make([]int64, len(outs))
	names, total := map[string]bool{}, int64(0)
	for i, o := range outs {
		path, size, err := "", int64(0), error(nil)
		if o.Object == nil {
			path, size, err = inside(root, dir, o)
		} else if !kept.gave(o.Object) {
			err = errs.New(errs.Internal, op, "output %q is an object nobody gave it", o.Name)
		}
		if err != nil {
			return nil, errs.Wrap(spec.Name, err)
		}
		if names[o.Name] {
			return nil, errs.New(errs.Internal, spec.Name, "two outputs are named %q", o.Name)
		}
		names[o.Name], paths[i], sizes[i] = true, path, size
		if total += size; total > e.cfg.MaxOutput {
			return nil, errs.New(errs.TooLarge, spec.Name, "outputs have more than %d bytes", e.cfg.MaxOutput)
		}
	}
	cloud := e.cloud(media.Ref{Cloud: j.Out.Cloud})
	objects := make([]media.Object, len(outs))
	group, gctx := errgroup.WithContext(ctx)
	group.SetLimit(e.cfg.Transfers)
	for i, o := range outs {
		if o.Object != nil {
			objects[i] = *o.Object
			continue
		}
		group.Go(func() error {
			f, err := root.Open(paths[i])
			if err != nil {
				return errs.New(errs.Internal, op, "scratch: %w", err)
			}
			defer f.Close()
			ref := media.Ref{Cloud: cloud, Bucket: j.Out.Bucket, Key: or(kept.key(&o), j.Out.Key(o.Name))}
			if objects[i], err = e.storeFile(gctx, ref, o, f, sizes[i]); err != nil || kept.key(&o) == "" {
				return errs.Wrap("store", err)
			}
			kept.keep(gctx, o.Key, objects[i])
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	return objects, nil
}

// inside checks that an output is a regular file in the scratch folder with a
// name that is safe in a key, and returns its path relative to the folder.
func inside(root *os.Root, dir string, o fn.Output) (string, int64, error) {
	if !safeName(o.Name) {
		return "", 0, errs.New(errs.Internal, op, "output name %q", o.Name)
	}
	path := o.Path
	if filepath.IsAbs(path) {
		rel, err := filepath.Rel(dir, path)
		if err != nil {
			return "", 0, errs.New(errs.Internal, op, "output %q lies outside the scratch folder", o.Name)
		}
		path = rel
	}
	if !filepath.IsLocal(path) {
		return "", 0, errs.New(errs.Internal, op, "output %q lies outside the scratch folder", o.Name)
	}
	info, err := root.Stat(path) // before Open, which would wait at a named pipe
	if err != nil {
		return "", 0, errs.New(errs.Internal, op, "output %q: %w", o.Name, err)
	}
	if !info.Mode().IsRegular() {
		return "", 0, errs.New(errs.Internal, op, "output %q is no regular file", o.Name)
	}
	return path, info.Size(), nil
}

// safeName reports whether s is a file name, or a few of them in folders of
// each other: the files of a package refer to each other by such names.
func safeName(s string) bool {
	elements := strings.Split(s, "/")
	return len(elements) <= maxFolders+1 && !slices.ContainsFunc(elements, func(e string) bool { return !safeElement(e) })
}

const maxFolders = 4

func safeElement(s string) bool {
	return s != "" && s[0] != '.' && len(s) <= 255 && utf8.ValidString(s) &&
		!strings.ContainsFunc(s, func(r rune) bool { return r == '\\' || r < 0x20 || r == 0x7f })
}

func (e *Executor) storeFile(ctx context.Context, ref media.Ref, o fn.Output, f *os.File, size int64) (media.Object, error) {
	obj := media.Object{Ref: ref, Name: o.Name, Kind: o.Kind, Mime: o.Mime}
	if obj.Kind == "" || obj.Mime == "" {
		head := make([]byte, min(sniff.HeadSize, size))
		if n, err := f.ReadAt(head, 0); n < len(head) {
			return obj, errs.New(errs.Internal, op, "scratch: %w", err)
		}
		if format, err := sniff.Sniff(head, size); err == nil {
			obj.Kind, obj.Mime = or(obj.Kind, format.Kind), or(obj.Mime, format.Mime)
		}
		obj.Mime = or(obj.Mime, "application/octet-stream")
	}
	attr, err := e.put(ctx, ref, f, size, obj.Mime)
	obj.Size, obj.SHA256 = attr.Size, attr.SHA256
	return obj, err
}

// summing computes the SHA-256 of a file while the store reads it. The store
// may seek back to the start to try again.
type summing struct {
	f   *os.File
	sum hash.Hash
}

func (s *summing) Read(p []byte) (int, error) {
	n, err := s.f.Read(p)
	s.sum.Write(p[:n])
	return n, err
}

func (s *summing) Seek(offset int64, whence int) (int64, error) {
	at, err := s.f.Seek(offset, whence)
	if err == nil && at == 0 {
		s.sum.Reset()
	}
	return at, err
}

func (s *summing) hex() string { return hex.EncodeToString(s.sum.Sum(nil)) }

func or[T ~string](a, b T) T {
	if a != "" {
		return a
	}
	return b
}
