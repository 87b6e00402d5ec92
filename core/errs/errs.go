// Package errs is the one way mediafn reports that something went wrong.
//
// An error has a kind, the operation that failed and a cause. The set of kinds
// is closed: whether work is retried, and which HTTP status a caller sees, is
// derived from the kind at the edge and decided nowhere else.
package errs

import (
	"context"
	"errors"
	"fmt"
	"strings"
)

// Kind classifies an error. The zero Kind is Internal, so that an error nobody
// classified is treated as our own fault.
type Kind uint8

const (
	Internal    Kind = iota // a defect of mediafn, or something nobody foresaw
	Invalid                 // the request or the media is wrong, and stays wrong
	NotFound                // the thing named does not exist
	Conflict                // it exists already, or changed in between
	Denied                  // the caller may not, or the address is forbidden
	Unsupported             // understood, but not something this build can do
	TooLarge                // over a limit of size, duration or dimensions
	Busy                    // no capacity now
	Timeout                 // a limit of time ran out
	Transient               // a fault outside that may pass (network, store)
	Canceled                // somebody asked for it to stop
)

var names = [...]string{
	Internal: "internal", Invalid: "invalid", NotFound: "not_found", Conflict: "conflict",
	Denied: "denied", Unsupported: "unsupported", TooLarge: "too_large", Busy: "busy",
	Timeout: "timeout", Transient: "transient", Canceled: "canceled",
}

func (k Kind) String() string {
	if int(k) < len(names) {
		return names[k]
	}
	return "internal"
}

// ParseKind is the inverse of Kind.String. An unknown name is Internal.
func ParseKind(s string) Kind {
	for k, n := range names {
		if n == s {
			return Kind(k)
		}
	}
	return Internal
}

// MarshalText and UnmarshalText let a Kind travel in messages under its name.
func (k Kind) MarshalText() ([]byte, error) { return []byte(k.String()), nil }

func (k *Kind) UnmarshalText(b []byte) error { *k = ParseKind(string(b)); return nil }

// Retryable reports whether doing the same thing again can help. Internal
// errors are retried too: a defect often depends on the machine it ran on, and
// the failure limit bounds the cost.
func (k Kind) Retryable() bool {
	switch k {
	case Transient, Timeout, Busy, Internal:
		return true
	}
	return false
}

// Error is what every package of mediafn returns.
type Error struct {
	Kind  Kind
	Op    string // what was being done: "sniff", "ffmpeg", "state.submit"
	Field string // the request field at fault, if one is: "params.crf"
	Msg   string // one sentence for a person, without the cause
	Tail  string // the last lines a tool printed, if one did
	Err   error  // the cause
}

func (e *Error) Error() string {
	var parts []string
	for _, s := range []string{e.Op, e.Field, e.Msg} {
		if s != "" {
			parts = append(parts, s)
		}
	}
	if e.Err != nil && e.Err.Error() != "" {
		parts = append(parts, e.Err.Error())
	}
	if len(parts) == 0 {
		return e.Kind.String()
	}
	return strings.Join(parts, ": ")
}

func (e *Error) Unwrap() error { return e.Err }

// New returns an error of kind k. The format's arguments may include one error
// wrapped with %w, which becomes the cause.
func New(k Kind, op, format string, args ...any) *Error {
	err := fmt.Errorf(format, args...)
	return &Error{Kind: k, Op: op, Msg: err.Error(), Err: quiet(errors.Unwrap(err))}
}

// Wrap adds an operation to err and keeps its kind. Wrap(op, nil) is nil.
func Wrap(op string, err error) error {
	if err == nil {
		return nil
	}
	return &Error{Kind: KindOf(err), Op: op, Err: err}
}

// As gives err the kind k, whatever it was before. As(k, op, nil) is nil.
func As(k Kind, op string, err error) error {
	if err == nil {
		return nil
	}
	return &Error{Kind: k, Op: op, Err: err}
}

// InField returns an Invalid error that names the request field at fault.
func InField(field, format string, args ...any) *Error {
	return &Error{Kind: Invalid, Field: field, Msg: fmt.Sprintf(format, args...)}
}

// KindOf finds the kind of the first *Error in err's tree. Context errors map
// to Canceled and Timeout; anything else is Internal.
func KindOf(err error) Kind {
	var e *Error
	switch {
	case errors.As(err, &e):
		return e.Kind
	case errors.Is(err, context.Canceled):
		return Canceled
	case errors.Is(err, context.DeadlineExceeded):
		return Timeout
	}
	return Internal
}

// Is reports whether err is of kind k. A nil error is of no kind.
func Is(err error, k Kind) bool { return err != nil && KindOf(err) == k }

// FieldOf returns the field the innermost named error in err's tree blames.
func FieldOf(err error) string {
	field := ""
	for e := (*Error)(nil); errors.As(err, &e); err = e.Err {
		if e.Field != "" {
			field = e.Field
		}
	}
	return field
}

// TailOf returns the tool output kept in err's tree, if any.
func TailOf(err error) string {
	for e := (*Error)(nil); errors.As(err, &e); err = e.Err {
		if e.Tail != "" {
			return e.Tail
		}
	}
	return ""
}

// Plain is what mediafn's own words say about err, without the text of causes
// that came from elsewhere: those may name addresses, accounts or files of the
// platform. It is empty if there are no such words.
func Plain(err error) string {
	var e *Error
	if !errors.As(err, &e) {
		return ""
	}
	cause := e.Err
	if q, ok := cause.(quietError); ok {
		cause = q.error
	}
	rest, msg := Plain(cause), e.Msg
	if cause != nil && strings.Contains(msg, cause.Error()) {
		msg = strings.TrimRight(strings.ReplaceAll(msg, cause.Error(), rest), ": ")
		rest = ""
	}
	var parts []string
	for _, s := range []string{e.Field, msg, rest} {
		if s != "" {
			parts = append(parts, s)
		}
	}
	return strings.Join(parts, ": ")
}

// quietError keeps a cause reachable for errors.Is and errors.As without
// printing it twice: New's message already contains its text.
type quietError struct{ error }

func (q quietError) Error() string { return "" }
func (q quietError) Unwrap() error { return q.error }

func quiet(err error) error {
	if err == nil {
		return nil
	}
	return quietError{err}
}
