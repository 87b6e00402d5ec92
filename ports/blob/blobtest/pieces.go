package blobtest

import (
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/mediafn/mediafn/core/errs"
	"github.com/mediafn/mediafn/core/media"
	"github.com/mediafn/mediafn/ports/blob"
)

// pieces stores texts behind one another.
func pieces(t *testing.T, s *blob.Store, texts ...string) (list []media.Piece) {
	at := int64(0)
	for i, text := range texts {
		key := "up/" + string(rune('a'+i))
		put(t, s, key, text)
		list = append(list, media.Piece{Key: key, Start: at, Size: int64(len(text))})
		at += int64(len(text))
	}
	return list
}

func testPieces(t *testing.T, s *blob.Store) {
	list := pieces(t, s, "abc", "defgh", "ij")
	p := s.Pieces("bucket", list)
	for _, c := range []struct {
		off  int64
		n    int
		want string
	}{{0, 10, "abcdefghij"}, {2, 2, "cd"}, {3, 5, "defgh"}, {9, 1, "j"}, {4, 0, ""}} {
		b := make([]byte, c.n)
		if n, err := p.ReadAtContext(t.Context(), b, c.off); err != nil || string(b[:n]) != c.want {
			t.Errorf("%d bytes at %d: %q, %v; want %q", c.n, c.off, b[:n], err, c.want)
		}
	}
	gap := s.Pieces("bucket", []media.Piece{list[0], list[2]})
	b := make([]byte, 10)
	n, err := gap.ReadAtContext(t.Context(), b, 1)
	var missing *blob.Gap
	if string(b[:n]) != "bc" || !errors.As(err, &missing) || missing.At != 3 {
		t.Errorf("up to a gap: %q, %v", b[:n], err)
	}
	if _, err := p.ReadAtContext(t.Context(), b, 10); !errors.As(err, &missing) || missing.At != 10 {
		t.Errorf("behind the last: %v", err)
	}
	must(t, s.Delete(t.Context(), "bucket", list[1].Key))
	if _, err := p.ReadAtContext(t.Context(), b, 0); !errs.Is(err, errs.NotFound) {
		t.Errorf("a piece that was deleted: %v", err)
	}
}

func testJoin(t *testing.T, s *blob.Store) {
	list := pieces(t, s, "abc", "", "defgh", strings.Repeat("i", 100_000))
	a, err := s.Join(t.Context(), "bucket", list, "other", "whole", blob.PutOptions{Mime: "video/mp4"})
	must(t, err)
	if a.Size != 100_008 || a.Mime != "video/mp4" {
		t.Errorf("attributes %+v", a)
	}
	r, _, err := s.Get(t.Context(), "other", "whole", 0, -1)
	must(t, err)
	body, err := io.ReadAll(r)
	must(t, err)
	must(t, r.Close())
	if string(body) != "abcdefgh"+strings.Repeat("i", 100_000) {
		t.Errorf("%d bytes, beginning with %q", len(body), body[:10])
	}
	testJoinMuch(t, s)
	if _, err := s.Join(t.Context(), "bucket", nil, "other", "empty", blob.PutOptions{}); err != nil {
		t.Errorf("of nothing: %v", err)
	}
	var missing *blob.Gap
	if _, err := s.Join(t.Context(), "bucket", list[1:], "other", "gap", blob.PutOptions{}); !errors.As(err, &missing) || missing.At != 0 {
		t.Errorf("with a gap: %v", err)
	}
	must(t, s.Delete(t.Context(), "bucket", list[2].Key))
	if _, err := s.Join(t.Context(), "bucket", list, "other", "broken", blob.PutOptions{}); err == nil {
		t.Error("a piece is not there")
	}
	if _, err := s.Stat(t.Context(), "other", "broken"); !errs.Is(err, errs.NotFound) {
		t.Errorf("half an object: %v", err)
	}
}

// testJoinMuch joins so much that a store may do it by itself, of pieces that are
// shorter and longer than what it takes for one, in all orders.
func testJoinMuch(t *testing.T, s *blob.Store) {
	const mib = 1 << 20
	var texts []string
	for i, n := range []int{6 * mib, 1*mib + 1, 7 * mib, 2 * mib, 5*mib - 1, 3 * mib, 3 * mib, 0, 10} {
		texts = append(texts, strings.Repeat(string(rune('a'+i)), n))
	}
	list := pieces(t, s, texts...)
	a, err := s.Join(t.Context(), "bucket", list, "other", "much", blob.PutOptions{Mime: "video/mp4"})
	must(t, err)
	want := strings.Join(texts, "")
	if a.Size != int64(len(want)) || a.Mime != "video/mp4" {
		t.Errorf("attributes %+v", a)
	}
	r, b, err := s.Get(t.Context(), "other", "much", 0, -1)
	must(t, err)
	body, err := io.ReadAll(r)
	must(t, err)
	must(t, r.Close())
	if string(body) != want || b.ETag != a.ETag {
		t.Errorf("%d bytes of %d, version %q of %q", len(body), len(want), b.ETag, a.ETag)
	}
	must(t, s.Delete(t.Context(), "bucket", list[2].Key))
	if _, err := s.Join(t.Context(), "bucket", list, "other", "torn", blob.PutOptions{}); !errs.Is(err, errs.NotFound) {
		t.Errorf("a piece is not there: %v", err)
	}
	if _, err := s.Stat(t.Context(), "other", "torn"); !errs.Is(err, errs.NotFound) {
		t.Errorf("half an object: %v", err)
	}
	pieces(t, s, "abc", "", "defgh", strings.Repeat("i", 100_000)) // as they were
}
