// Package graph writes FFmpeg filter graphs.
//
// A graph is text that FFmpeg parses twice: once into filters, once into each
// filter's options. Values are escaped for both here, so that a value arrives
// exactly as given whatever it holds. What a filter does with its value
// afterwards is the filter's own language: expressions, lists split at "|",
// and drawtext's %{…}, which must be switched off with expansion=none where
// the text is a user's.
package graph

import (
	"strconv"
	"strings"

	"github.com/mediafn/mediafn/core/errs"
)

// Arg is one option. An empty Key makes it positional.
type Arg struct{ Key, Value string }

// Filter is one filter with its options in order. Name may carry an instance
// id, "scale@first".
type Filter struct {
	Name string
	Args []Arg
}

// New returns a filter with key, value pairs; a key left without value gets
// the empty one.
func New(name string, pairs ...string) Filter {
	f := Filter{Name: name}
	for i := 0; i < len(pairs); i += 2 {
		a := Arg{Key: pairs[i]}
		if i+1 < len(pairs) {
			a.Value = pairs[i+1]
		}
		f.Args = append(f.Args, a)
	}
	return f
}

// Get is the value of an option, "" if it is not given.
func (f Filter) Get(key string) string {
	for _, o := range f.Args {
		if o.Key == key {
			return o.Value
		}
	}
	return ""
}

// With returns f with one more option.
func (f Filter) With(key, value string) Filter {
	f.Args = append(f.Args[:len(f.Args):len(f.Args)], Arg{key, value})
	return f
}

// Int and Float print numbers as FFmpeg reads them.
func Int(n int) string { return strconv.Itoa(n) }

// Float prints the shortest decimal that reads back as f, without exponent.
func Float(f float64) string { return strconv.FormatFloat(f, 'f', -1, 64) }

// Chain is filters one after the other, from the pads In to the pads Out
// (labels without brackets: "0:v", "tmp").
type Chain struct {
	In      []string
	Filters []Filter
	Out     []string
}

// Graph is chains that together make one filter graph.
type Graph []Chain

// Of is a graph of one chain without labels, as -vf and -af take.
func Of(filters ...Filter) Graph { return Graph{{Filters: filters}} }

// String writes the graph. Values are safe; names, keys and labels are written
// as they are, see Validate.
func (g Graph) String() string {
	var b strings.Builder
	for i, c := range g {
		if i > 0 {
			b.WriteByte(';')
		}
		for _, l := range c.In {
			b.WriteString("[" + l + "]")
		}
		for j, f := range c.Filters {
			if j > 0 {
				b.WriteByte(',')
			}
			b.WriteString(f.String())
		}
		for _, l := range c.Out {
			b.WriteString("[" + l + "]")
		}
	}
	return b.String()
}

// String writes the filter with its options, escaped for a graph.
func (f Filter) String() string {
	if len(f.Args) == 0 {
		return f.Name
	}
	opts := make([]string, len(f.Args))
	for i, a := range f.Args {
		opts[i] = Escape(escapeOption(a.Value))
		if a.Key != "" {
			opts[i] = a.Key + "=" + opts[i]
		}
	}
	return f.Name + "=" + strings.Join(opts, ":")
}

// Validate checks what escaping cannot make safe: names, keys and labels must
// be plain words, values free of NUL, a positional value must not read as
// key=value. A fault is Internal: these are ours, except for a NUL, which is
// Invalid.
func (g Graph) Validate() error {
	for _, c := range g {
		if len(c.Filters) == 0 {
			return errs.New(errs.Internal, "graph", "chain without filters")
		}
		for _, l := range append(append([]string{}, c.In...), c.Out...) {
			if !word(l, ":") {
				return errs.New(errs.Internal, "graph", "label %q", l)
			}
		}
		for _, f := range c.Filters {
			if err := f.validate(); err != nil {
				return err
			}
		}
	}
	return nil
}

func (f Filter) validate() error {
	if !word(f.Name, "@") {
		return errs.New(errs.Internal, "graph", "filter name %q", f.Name)
	}
	for _, a := range f.Args {
		switch {
		case a.Key != "" && !word(a.Key, ""):
			return errs.New(errs.Internal, "graph", "%s: option name %q", f.Name, a.Key)
		case a.Key == "" && strings.Contains(a.Value, "="):
			return errs.New(errs.Internal, "graph", "%s: positional value %q needs a name", f.Name, a.Value)
		case strings.ContainsRune(a.Value, 0):
			return errs.New(errs.Invalid, "graph", "%s: %s contains a NUL", f.Name, a.Key)
		}
	}
	return nil
}

// word reports whether s is made of letters, digits, _ and the extra signs.
func word(s, extra string) bool {
	for _, r := range s {
		ok := r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '_' || strings.ContainsRune(extra, r)
		if !ok {
			return false
		}
	}
	return s != ""
}

// space is what av_get_token trims at both ends of a token unless escaped.
const space = " \n\t\r"

// escapeOption protects a value from the parser of a filter's options, which
// splits at ":". Source: av_get_token and av_opt_get_key_value of libavutil.
func escapeOption(s string) string { return escape(s, `\':`+space) }

// Escape protects text from the graph parser, which splits at "[],;". It is
// the second level; use it alone only for text that is already a filter's
// whole argument string.
func Escape(s string) string { return escape(s, `\'[],;`+space) }

func escape(s, special string) string {
	if !strings.ContainsAny(s, special) {
		return s
	}
	var b strings.Builder
	b.Grow(len(s) + 8)
	for i := range len(s) { // bytes: every special sign is ASCII
		if strings.IndexByte(special, s[i]) >= 0 {
			b.WriteByte('\\')
		}
		b.WriteByte(s[i])
	}
	return b.String()
}
