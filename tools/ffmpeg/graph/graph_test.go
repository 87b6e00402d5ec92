package graph

import (
	"fmt"
	"os/exec"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/mediafn/mediafn/core/errs"
)

func TestGraphString(t *testing.T) {
	for _, c := range []struct {
		g    Graph
		want string
	}{
		{Of(New("null")), "null"},
		{Of(New("scale", "w", Int(-2), "h", "360"), New("fps", "fps", Float(29.97))), "scale=w=-2:h=360,fps=fps=29.97"},
		{Of(New("scale@first", "", "320", "", "240").With("flags", "lanczos")), "scale@first=320:240:flags=lanczos"},
		{Graph{
			{In: []string{"1:v"}, Filters: []Filter{New("scale", "w", "100", "h", "-1")}, Out: []string{"logo"}},
			{In: []string{"0:v", "logo"}, Filters: []Filter{New("overlay", "x", "W-w-10", "y", "10")}, Out: []string{"out"}},
		}, "[1:v]scale=w=100:h=-1[logo];[0:v][logo]overlay=x=W-w-10:y=10[out]"},
		{Of(New("select", "expr", `eq(pict_type,I)`)), `select=expr=eq(pict_type\,I)`},
		{Of(New("drawtext", "text", `it's 5:00; [x],\%{n}`, "expansion", "none")),
			`drawtext=text=it\\\'s\\\ 5\\:00\;\\\ \[x\]\,\\\\%{n}:expansion=none`},
	} {
		if got := c.g.String(); got != c.want {
			t.Errorf("got  %s\nwant %s", got, c.want)
		}
		if err := c.g.Validate(); err != nil {
			t.Error(err)
		}
	}
}

func TestValidate(t *testing.T) {
	for _, c := range []struct {
		g    Graph
		want errs.Kind
	}{
		{Of(New("movie=/etc/passwd")), errs.Internal},
		{Of(New("")), errs.Internal},
		{Of(New("scale", "w=1:h", "2")), errs.Internal},
		{Of(New("scale", "/w", "2")), errs.Internal},
		{Of(New("scale", "", "w=2")), errs.Internal},
		{Graph{{In: []string{"a];movie"}, Filters: []Filter{New("null")}}}, errs.Internal},
		{Graph{{}}, errs.Internal},
		{Of(New("drawtext", "text", "a\x00b")), errs.Invalid},
	} {
		if err := c.g.Validate(); !errs.Is(err, c.want) {
			t.Errorf("%q: %v", c.g, err)
		}
	}
}

// token is av_get_token of libavutil: it unescapes up to an unescaped
// terminator and trims unescaped space.
func token(s, term string) (tok, rest string) {
	var out []byte
	end, i := 0, 0
	for i < len(s) && strings.IndexByte(space, s[i]) >= 0 {
		i++
	}
	for i < len(s) && strings.IndexByte(term, s[i]) < 0 {
		c := s[i]
		i++
		switch {
		case c == '\\' && i < len(s):
			out = append(out, s[i])
			i++
			end = len(out)
		case c == '\'':
			for i < len(s) && s[i] != '\'' {
				out = append(out, s[i])
				i++
			}
			if i < len(s) {
				i++
				end = len(out)
			}
		default:
			out = append(out, c)
		}
	}
	for len(out) > end && strings.IndexByte(space, out[len(out)-1]) >= 0 {
		out = out[:len(out)-1]
	}
	return string(out), s[i:]
}

// arrives parses a one-filter graph as FFmpeg does and returns the value.
func arrives(t interface{ Fatalf(string, ...any) }, graph string) string {
	args, rest := token(strings.TrimPrefix(graph, "f="), "[],;")
	if rest != "" {
		t.Fatalf("%q ended the filter: %q is left", graph, rest)
	}
	value, rest := token(strings.TrimPrefix(args, "k="), ":")
	if rest != "" {
		t.Fatalf("%q ended the option: %q is left", graph, rest)
	}
	return value
}

func TestEscapeArrives(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		nasty := rapid.StringOf(rapid.SampledFrom([]rune("ab=:,;[]'\\%{} \n\t\"$é|@#")))
		v := rapid.OneOf(nasty, rapid.String()).Draw(t, "value")
		if got := arrives(t, New("f", "k", v).String()); got != v {
			t.Fatalf("%q arrived as %q", v, got)
		}
	})
}

func FuzzEscape(f *testing.F) {
	f.Add(`':,[];\'\\%{} `)
	f.Fuzz(func(t *testing.T, v string) {
		if got := arrives(t, New("f", "k", v).String()); got != v {
			t.Fatalf("%q arrived as %q", v, got)
		}
	})
}

// TestEscapeThroughFFmpeg lets FFmpeg itself print what arrived.
func TestEscapeThroughFFmpeg(t *testing.T) {
	nasty := []string{
		`plain`, `':,[];\'\\%{}`, `\`, `\\`, `\'`, `'`, `''`, `it's`, `a:b`, `a,b`, `a;b`, `[a][b]`, ` lead`, `trail `, ` both  `, "tab\tin", "\tlead",
		`a=b`, `a=b:c=d,movie=/etc/passwd[x];[x]`, `x:file=/tmp/evil`, `%{pts}`, `%%`, `"quoted"`, `$HOME`, `äöü 漢字 🎬`, `trailing\`, `'unclosed`, `#`, `|`, `\n`,
		"two\nlines", "trail\n",
	}
	var chain []Filter
	key := func(i int) string { return fmt.Sprintf("k%dk", i) }
	for i, v := range nasty {
		chain = append(chain, New("metadata", "mode", "add", "key", key(i), "value", v), New("metadata", "mode", "print", "key", key(i), "file", "-"),
			New("metadata", "mode", "delete", "key", key(i)))
	}
	g := Of(chain...)
	if err := g.Validate(); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command("ffmpeg", "-v", "error", "-f", "lavfi", "-i", "color=s=16x16:r=1:d=1", "-vf", g.String(), "-f", "null", "/dev/null").CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	said := "\n" + string(out) + "frame:" // each filter prints "frame:0 …" and then "key=value"
	for i, want := range nasty {
		_, value, ok := strings.Cut(said, "\n"+key(i)+"=")
		value, _, ended := strings.Cut(value, "\nframe:")
		if !ok || !ended || value != want {
			t.Errorf("%q arrived as %q", want, value)
		}
	}
}
