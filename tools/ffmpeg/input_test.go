package ffmpeg

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/mediafn/mediafn/core/errs"
)

var update = flag.Bool("update", false, "rewrite golden files")

func TestInputArgs(t *testing.T) {
	var got strings.Builder
	for _, c := range []struct {
		name string
		in   Input
	}{
		{"file", Input{Path: "/in/a.mp4", Demuxer: "mov"}},
		{"file named like a protocol", Input{Path: "concat:a|b", Demuxer: "mpegts"}},
		{"slice", Input{Path: "/in/a.mkv", Demuxer: "matroska", Seek: new(12.5), Duration: new(10.0000004)}},
		{"http", Input{URL: "http://127.0.0.1:4000/token/0", Demuxer: "mov", MaxPixels: 1 << 25}},
		{"stdin", Input{Stdin: true, Demuxer: "mpegts"}},
		{"loop", Input{Path: "/in/logo.png", Demuxer: "png_pipe", Loop: -1}},
		{"image2", Input{Path: "/in/100%d.jpg", Demuxer: "image2"}},
		{"sequence", Input{Path: "/in/%05d.jpg", Demuxer: "image2", Extra: []string{"-pattern_type", "sequence", "-framerate", "25"}}},
		{"lavfi", Input{Lavfi: "anullsrc=r=48000", Duration: new(3.0)}},
	} {
		args, err := c.in.Args()
		if err != nil {
			t.Fatal(c.name, err)
		}
		got.WriteString("# " + c.name + "\n" + strings.Join(args, " ") + "\n")
	}
	golden := filepath.Join("testdata", "inputs.golden")
	if *update {
		if err := os.WriteFile(golden, []byte(got.String()), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(string(want), got.String()); d != "" {
		t.Error(d)
	}
}

func TestInputRefused(t *testing.T) {
	nan := 0.0
	nan /= nan
	for _, c := range []struct {
		name string
		in   Input
		want errs.Kind
	}{
		{"playlist", Input{Path: "a", Demuxer: "hls"}, errs.Unsupported},
		{"concat", Input{Path: "a", Demuxer: "concat"}, errs.Unsupported},
		{"dash", Input{Path: "a", Demuxer: "dash"}, errs.Unsupported},
		{"none", Input{Path: "a"}, errs.Unsupported},
		{"lavfi as demuxer", Input{Path: "movie=/etc/passwd", Demuxer: "lavfi"}, errs.Unsupported},
		{"https", Input{URL: "https://example.org/a", Demuxer: "mov"}, errs.Invalid},
		{"file URL", Input{URL: "file:///etc/passwd", Demuxer: "mov"}, errs.Invalid},
		{"no host", Input{URL: "http:/x", Demuxer: "mov"}, errs.Invalid},
		{"negative seek", Input{Path: "a", Demuxer: "mov", Seek: new(-1.0)}, errs.Invalid},
		{"not a number", Input{Path: "a", Demuxer: "mov", Duration: &nan}, errs.Invalid},
		{"two", Input{Path: "a", Stdin: true, Demuxer: "mov"}, errs.Internal},
		{"empty", Input{Demuxer: "mov"}, errs.Internal},
	} {
		if args, err := c.in.Args(); !errs.Is(err, c.want) {
			t.Errorf("%s: %v %v", c.name, args, err)
		}
	}
}

// TestDemuxersExist: every name is one this FFmpeg has, except what older
// builds lack, and none of those that open what a file names.
func TestDemuxers(t *testing.T) {
	tool := newTool(t)
	out, err := tool.output(t.Context(), tool.ffmpeg, []string{"-hide_banner", "-demuxers"}, Job{})
	if err != nil {
		t.Fatal(err)
	}
	have := map[string]bool{}
	for whole := range parseList(string(out)) {
		have[whole] = true
	}
	for name, whole := range demuxers {
		if !have[whole] {
			t.Logf("%s (%s) is not in this build", name, whole)
		}
	}
	for _, name := range []string{"mov", "matroska", "mpegts", "flv", "avi", "ogg", "wav", "mp3", "aac", "flac"} {
		if !have[demuxers[name]] {
			t.Errorf("%s is missing", name)
		}
	}
}

func TestClassify(t *testing.T) {
	for text, want := range map[string]errs.Kind{
		"[http @ 0x1] [error] Stream ends prematurely at 2000, should be 100000\n[mov @ 0x1] [error] moov atom not found": errs.Transient,
		"[tcp @ 0x1] [error] Protocol 'tcp' not on whitelist 'file'!\n[error] a: Invalid argument":                        errs.Denied,
		"[error] http://h/403: Server returned 403 Forbidden (access denied)":                                             errs.Denied,
		"[error] http://h/404: Server returned 404 Not Found":                                                             errs.NotFound,
		"[error] http://h/503: Server returned 5XX Server Error reply":                                                    errs.Transient,
		"[error] color=s=8000x8000:d=1: Cannot allocate memory":                                                           errs.TooLarge,
		"x264 [error]: malloc of size 262146 failed":                                                                      errs.TooLarge,
		"[fatal] rnd.mp4: could not find codec parameters":                                                                errs.Invalid,
		"[error] file:x: End of file":                                                                                     errs.Invalid,
		"[error] Output file #0 does not contain any stream":                                                              errs.Invalid,
		"[error] Unrecognized option 'nosuch'.":                                                                           errs.Internal,
		"something nobody has seen":                                                                                       errs.Internal,
		"":                                                                                                                errs.Internal,
	} {
		if got, _ := classify(lines(text)); got != want {
			t.Errorf("%q is %v, want %v", text, got, want)
		}
	}
}

func TestSplit(t *testing.T) {
	for _, c := range []struct {
		line, level, msg string
		serious          bool
	}{
		{"[mov,mp4 @ 0x1] [error] moov atom not found", "error", "moov atom not found", true},
		{"[Parsed_color_0 @ 0x5] [IMGUTILS @ 0x7] [fatal] [x] y", "fatal", "[x] y", true},
		{"[warning] file:a: corrupt", "warning", "file:a: corrupt", false},
		{"x264 [error]: malloc of size 262146 failed", "", "x264 [error]: malloc of size 262146 failed", true},
		{"Svt[info]: SVT [version]: 1", "", "Svt[info]: SVT [version]: 1", false},
		{"To ignore this, add a trailing '?' to the map.", "", "To ignore this, add a trailing '?' to the map.", true},
		{"[ odd", "", "[ odd", true},
		{"", "", "", true},
	} {
		if level, msg := split(c.line); level != c.level || msg != c.msg || serious(c.line) != c.serious {
			t.Errorf("%q: %q %q %v", c.line, level, msg, serious(c.line))
		}
	}
}

func FuzzClassify(f *testing.F) {
	f.Add("[a @ 0x1] [error] file:x: End of file\n[")
	f.Fuzz(func(t *testing.T, s string) {
		classify(lines(s))
		silentFailure(lines(s), []string{"file:x"})
		for _, l := range lines(s) {
			if _, msg := split(l); !strings.HasSuffix(l, msg) {
				t.Errorf("%q became %q", l, msg)
			}
		}
	})
}

func TestReadProgress(t *testing.T) {
	var got []Progress
	readProgress(strings.NewReader("frame=0\nout_time_us=-9223372036854775807\ntotal_size=N/A\nspeed=N/A\nprogress=continue\n"+
		"frame=50\nfps=12.5\nout_time_us=1960000\ntotal_size=5000\nspeed=2.5x\nprogress=end\n"), func(p Progress) { got = append(got, p) })
	want := []Progress{{}, {Frames: 50, OutTime: 1960e6, Size: 5000, Speed: 2.5, End: true}}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
}

func FuzzReadProgress(f *testing.F) {
	f.Add("frame=1\nprogress=end\n", 2.0, int64(10))
	f.Fuzz(func(t *testing.T, s string, duration float64, frames int64) {
		readProgress(strings.NewReader(s), func(p Progress) {
			if pc := p.percent(duration, frames); !(pc >= 0 && pc < 100) {
				t.Errorf("%v %%", pc)
			}
			if p.Frames < 0 || p.OutTime < 0 || p.Size < 0 {
				t.Errorf("%+v", p)
			}
		})
	})
}
