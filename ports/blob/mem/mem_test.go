package mem_test

import (
	"bytes"
	"testing"

	"github.com/mediafn/mediafn/core/errs"
	"github.com/mediafn/mediafn/ports/blob"
	"github.com/mediafn/mediafn/ports/blob/blobtest"
	"github.com/mediafn/mediafn/ports/blob/driver"
	"github.com/mediafn/mediafn/ports/blob/mem"
)

func open(t *testing.T, d driver.Store) *blob.Store {
	s, err := blob.New(d, blob.Default())
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestSuite(t *testing.T) {
	blobtest.Run(t, func(t *testing.T) *blob.Store { return open(t, mem.New(0)) })
}

// bare hides the optional abilities, so that the portable fallbacks are run.
type bare struct{ driver.Store }

func TestSuiteWithoutExtras(t *testing.T) {
	blobtest.Run(t, func(t *testing.T) *blob.Store { return open(t, bare{mem.New(0)}) })
}

func TestBounded(t *testing.T) {
	cfg := blob.Default()
	cfg.Attempts, cfg.MaxSize = 1, 900
	s, err := mem.Open(1000, cfg)
	if err != nil {
		t.Fatal(err)
	}
	put := func(key string, n int) error {
		_, err := s.Put(t.Context(), "bucket", key, bytes.NewReader(make([]byte, n)), blob.PutOptions{Size: -1})
		return err
	}
	if err := put("a", 901); !errs.Is(err, errs.TooLarge) {
		t.Fatalf("over max_size: %v", err)
	}
	for range 3 {
		if err := put("a", 900); err != nil {
			t.Fatal(err)
		}
	}
	if err := put("b", 200); !errs.Is(err, errs.Busy) {
		t.Fatalf("over the store's size: %v", err)
	}
	if err := s.Delete(t.Context(), "bucket", "a"); err != nil {
		t.Fatal(err)
	}
	if err := put("b", 200); err != nil {
		t.Fatal(err)
	}
}
