package errs_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"testing"

	"github.com/mediafn/mediafn/core/errs"
)

func TestKindsHaveNames(t *testing.T) {
	seen := map[string]bool{}
	for k := errs.Internal; k <= errs.Canceled; k++ {
		name := k.String()
		if name == "" || seen[name] || errs.ParseKind(name) != k {
			t.Errorf("kind %d is %q, read back as %d", k, name, errs.ParseKind(name))
		}
		seen[name] = true
		var back errs.Kind
		raw, err := json.Marshal(k)
		if err == nil {
			err = json.Unmarshal(raw, &back)
		}
		if err != nil || back != k {
			t.Errorf("%s travels as %s: %v", name, raw, err)
		}
	}
	if errs.Kind(200).String() != "internal" || errs.ParseKind("nonsense") != errs.Internal {
		t.Error("an unknown kind is not internal")
	}
}

func TestRetryable(t *testing.T) {
	for k := errs.Internal; k <= errs.Canceled; k++ {
		want := k == errs.Transient || k == errs.Timeout || k == errs.Busy || k == errs.Internal
		if k.Retryable() != want {
			t.Errorf("%s: %v", k, !want)
		}
	}
}

func TestErrors(t *testing.T) {
	field := errs.InField("params.crf", "must be %d", 3)
	tail := &errs.Error{Kind: errs.TooLarge, Op: "ffmpeg", Tail: "last words", Err: io.ErrUnexpectedEOF}
	for _, c := range []struct {
		err               error
		kind              errs.Kind
		field, tail, text string
	}{
		{nil, errs.Internal, "", "", ""},
		{io.EOF, errs.Internal, "", "", "EOF"},
		{context.Canceled, errs.Canceled, "", "", "context canceled"},
		{fmt.Errorf("x: %w", context.DeadlineExceeded), errs.Timeout, "", "", "x: context deadline exceeded"},
		{errs.New(errs.Busy, "op", "so %d: %w", 4, io.EOF), errs.Busy, "", "", "op: so 4: EOF"},
		{errs.Wrap("op", io.EOF), errs.Internal, "", "", "op: EOF"},
		{errs.Wrap("op", field), errs.Invalid, "params.crf", "", "op: params.crf: must be 3"},
		{errs.As(errs.Transient, "net", field), errs.Transient, "params.crf", "", "net: params.crf: must be 3"},
		{errs.Wrap("run", tail), errs.TooLarge, "", "last words", "run: ffmpeg: unexpected EOF"},
		{fmt.Errorf("a: %w", errors.Join(io.EOF, tail)), errs.TooLarge, "", "last words", "a: EOF\nffmpeg: unexpected EOF"},
		{&errs.Error{Kind: errs.Denied}, errs.Denied, "", "", "denied"},
	} {
		if got := errs.KindOf(c.err); got != c.kind || errs.FieldOf(c.err) != c.field || errs.TailOf(c.err) != c.tail {
			t.Errorf("%v: %s, field %q, tail %q", c.err, got, errs.FieldOf(c.err), errs.TailOf(c.err))
		}
		if c.err != nil && c.err.Error() != c.text {
			t.Errorf("%q, want %q", c.err.Error(), c.text)
		}
	}
	if !errors.Is(errs.New(errs.Busy, "op", "%w", io.EOF), io.EOF) || !errors.Is(errs.Wrap("op", tail), io.ErrUnexpectedEOF) {
		t.Error("the cause is out of reach")
	}
	if errs.Wrap("op", nil) != nil || errs.As(errs.Busy, "op", nil) != nil || errs.Is(nil, errs.Internal) {
		t.Error("nothing became an error")
	}
}

// TestPlain: what callers read has no word of causes from elsewhere.
func TestPlain(t *testing.T) {
	dial := errors.New("dial tcp 10.0.0.7:5432: connection refused (user=mediafn)")
	for _, c := range []struct {
		err  error
		want string
	}{
		{nil, ""},
		{dial, ""},
		{errs.As(errs.Transient, "state.submit", dial), ""},
		{fmt.Errorf("10.0.0.7: %w", errs.Wrap("gateway", errs.As(errs.Transient, "state", dial))), ""},
		{errs.New(errs.Transient, "nats.append", "stream answers has no leader now: %w", dial), "stream answers has no leader now"},
		{errs.New(errs.Transient, "gateway", "nobody matches: %w", errs.New(errs.Busy, "queue", "nobody listens (%w)", dial)), "nobody matches: nobody listens ()"},
		{&errs.Error{Op: "egress", Msg: "its server cannot be read from", Err: dial}, "its server cannot be read from"},
		{errs.Wrap("op", errs.InField("params.crf", "must be 3")), "params.crf: must be 3"},
	} {
		if got := errs.Plain(c.err); got != c.want {
			t.Errorf("%v: %q, want %q", c.err, got, c.want)
		}
	}
}
