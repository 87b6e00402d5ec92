package rate

import (
	"archive/zip"
	"encoding/json"
	"io"
	"os"
	"strings"

	"github.com/mediafn/mediafn/core/errs"
	"github.com/mediafn/mediafn/functions/internal/encode"
)

// Log is the name both passes of an encoder know their statistics by, in their
// working folder. Trees of references lie beside it.
const Log = encode.Log

var beside = []string{Log, Log + ".mbtree", Log + ".cutree"}

const about = "about.json"

// About is what stands in front of packed statistics.
type About struct {
	Frames  int64   `json:"frames"`
	Seconds float64 `json:"seconds"` // of presentation
}

// Pack writes the statistics a first pass left in dir into one file: an
// archive (ZIP), so that the text can be read without the trees, which are many
// times as large.
func Pack(path, dir string, a About) (err error) {
	f, err := os.Create(path)
	if err != nil {
		return errs.New(errs.Internal, "rate", "%w", err)
	}
	defer func() {
		if e := f.Close(); err == nil && e != nil {
			err = errs.New(errs.Internal, "rate", "%w", e)
		}
	}()
	// The tool that wrote in dir is not trusted: its links lead nowhere else.
	root, err := os.OpenRoot(dir)
	if err != nil {
		return errs.New(errs.Internal, "rate", "%w", err)
	}
	defer root.Close()
	z := zip.NewWriter(f)
	w, err := z.Create(about)
	if err == nil {
		err = json.NewEncoder(w).Encode(a)
	}
	for _, name := range beside {
		if err == nil {
			err = add(z, root, name)
		}
	}
	if e := z.Close(); err == nil {
		err = e
	}
	if err != nil {
		return errs.New(errs.Internal, "rate", "pack: %w", err)
	}
	return nil
}

func add(z *zip.Writer, root *os.Root, name string) error {
	f, err := root.Open(name)
	if os.IsNotExist(err) && name != Log {
		return nil
	} else if err != nil {
		return err
	}
	defer f.Close()
	w, err := z.Create(name)
	if err != nil {
		return err
	}
	_, err = io.Copy(w, f)
	return err
}

// most bounds what unpacking may write: encoders wrote it, of pictures nobody
// has checked.
const (
	mostStats = 256 << 20
	mostTree  = 64 << 30
)

// Open reads packed statistics: what they are about, and the text.
func Open(r io.ReaderAt, size int64) (a About, stats []byte, err error) {
	z, err := zip.NewReader(r, size)
	if err == nil {
		var raw []byte
		if raw, err = content(z, about, 1<<16); err == nil {
			err = json.Unmarshal(raw, &a)
		}
	}
	if err == nil {
		stats, err = content(z, Log, mostStats)
	}
	if err != nil {
		return a, nil, errs.New(errs.Invalid, "rate", "analysis: %w", err)
	}
	return a, stats, nil
}

func content(z *zip.Reader, name string, most int64) ([]byte, error) {
	f, err := z.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, most))
}

// Unpack puts the statistics back where a second pass reads them.
func Unpack(r io.ReaderAt, size int64, dir string) error {
	z, err := zip.NewReader(r, size)
	if err != nil {
		return errs.New(errs.Invalid, "rate", "analysis: %w", err)
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return errs.New(errs.Internal, "rate", "%w", err)
	}
	defer root.Close()
	for _, name := range beside {
		f, err := z.Open(name)
		if err != nil {
			if strings.HasSuffix(name, "tree") {
				continue
			}
			return errs.New(errs.Invalid, "rate", "analysis: %w", err)
		}
		err = write(root, name, io.LimitReader(f, mostTree))
		_ = f.Close()
		if err != nil {
			return errs.New(errs.Internal, "rate", "unpack: %w", err)
		}
	}
	return nil
}

func write(root *os.Root, name string, r io.Reader) error {
	f, err := root.OpenFile(name, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(f, r)
	if e := f.Close(); err == nil {
		err = e
	}
	return err
}
