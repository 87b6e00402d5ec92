package video

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/mediafn/mediafn/core/errs"
	"github.com/mediafn/mediafn/core/fn"
	"github.com/mediafn/mediafn/core/media"
	"github.com/mediafn/mediafn/core/slice"
	"github.com/mediafn/mediafn/functions/assemble"
	"github.com/mediafn/mediafn/functions/inspect"
	"github.com/mediafn/mediafn/functions/internal/ahead"
	"github.com/mediafn/mediafn/functions/internal/fnrig"
	"github.com/mediafn/mediafn/functions/internal/slicetest"
	"github.com/mediafn/mediafn/functions/internal/source"
)

// aheadOf runs a call as the platform does for a source that is still arriving: front,
// splits, and then the plan made of them. It returns what became of it.
type aheadOf struct {
	t      testing.TB
	rig    *fnrig.Rig
	f      fn.Function
	params json.RawMessage
	path   string
}

func (a *aheadOf) open(slot, path string) fn.Input {
	in, err := a.rig.Open(a.t, slot, path)
	if err != nil {
		a.t.Fatal(err)
	}
	return in
}

// facts runs a function on the source for its facts.
func (a *aheadOf) facts(f fn.Function, into any) *fn.Result {
	a.t.Helper()
	res, err := a.rig.Run(a.t, f, `{}`, nil, a.path)
	if err != nil {
		a.t.Fatal(err, errs.TailOf(err))
	}
	if err := json.Unmarshal(res.Facts, into); err != nil {
		a.t.Fatal(err)
	}
	return res
}

// splits cuts the file into n.
func (a *aheadOf) splits(n int64) slice.Early {
	st, err := os.Stat(a.path)
	if err != nil {
		a.t.Fatal(err)
	}
	e := slice.Early{Early: true}
	for i := range n {
		b := fn.Bytes{First: i * st.Size() / n, Behind: (i + 1) * st.Size() / n}
		if i == n-1 {
			b.Behind = 0
		}
		e.Splits = append(e.Splits, fn.Part{Stream: fn.Pictures, Order: int(i), Of: int(n), Share: 1 / float64(n), Split: &b})
	}
	return e
}

// plan is what is planned when the source is whole, of the slices made ahead; files are
// theirs, and source what is copied from then: the path, or a copy.
func (a *aheadOf) plan(n int64) (p slice.Plan, files []string, from string) {
	t := a.t
	t.Helper()
	front := &media.Info{}
	a.facts(inspect.Front(a.rig.FFmpeg), front)
	request := func(info *media.Info) (slice.Request, error) {
		as, err := a.f.Assembly(a.params, info)
		return slice.Request{Spec: a.f.Spec().Slicing, Assembly: as, Mode: slice.Force, Workers: 2, Price: a.f.Price(a.params, []*media.Info{info})}, err
	}
	early := a.splits(n)
	rq, err := request(front)
	if err != nil {
		t.Fatal(err)
	}
	early.Assembly = rq.Assembly
	var found slice.Ahead
	for i := range early.Splits {
		in := a.open("source", a.path)
		in.Info = front
		call := &fn.Call{Trace: "test", Dir: t.TempDir(), Threads: 1, Params: a.params, Inputs: []fn.Input{in}, Part: &early.Splits[i]}
		res, err := ahead.Of(a.rig.FFmpeg, a.f).Run(t.Context(), call)
		if err != nil {
			t.Fatalf("split %d: %v\n%s", i, err, errs.TailOf(err))
		}
		f := &slice.Found{}
		if err := json.Unmarshal(res.Facts, f); err != nil {
			t.Fatal(err)
		}
		t.Logf("%d: %+v", i, *f)
		found.Each = append(found.Each, f)
		for _, o := range res.Outputs {
			files = append(files, o.Path)
		}
	}
	// The source is whole.
	docs := map[string]json.RawMessage{}
	put := func(slot string, v any) {
		raw, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		docs[slot] = raw
	}
	profile := func(path string, want source.Want) *media.Info {
		in := a.open("source", path)
		info, err := source.Facts(t.Context(), a.rig.FFmpeg, nil, &in, want)
		if err != nil {
			t.Fatal(err)
		}
		return info
	}
	answer := func(params string, into any) {
		raw, err := slice.Answer(docs, json.RawMessage(params), request)
		if err == nil {
			err = json.Unmarshal(raw, into)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	put("profile", profile(a.path, source.Want{Index: true}))
	put("early", early)
	put("ahead", found)
	var look slice.Look
	answer(`{"look":true}`, &look)
	put("look", look)
	from = a.path
	if look.Remux {
		var done slice.Remuxed
		res := a.facts(assemble.Remux(a.rig.FFmpeg), &done)
		put("remuxed", done)
		if !done.Failed {
			from = res.Outputs[0].Path
		}
	}
	if look.Again {
		put("seen", profile(from, source.Want{Keys: true}))
	}
	answer(`{}`, &p)
	return p, files, from
}

// merged is the file of the slices, held to the certificate.
func (a *aheadOf) merged(p slice.Plan, files []string, from string) string {
	t := a.t
	t.Helper()
	call := &fn.Call{Trace: "test", Dir: t.TempDir(), Threads: 2, Params: json.RawMessage(`{}`)}
	for _, f := range files {
		call.Inputs = append(call.Inputs, a.open("slices", f))
	}
	if p.Sound != nil {
		call.Inputs = append(call.Inputs, a.open("sound", run(t, a.rig, a.f, string(a.params), p.Sound, from)))
	}
	doc, err := json.Marshal(p)
	if err != nil {
		t.Fatal(err)
	}
	promised := fn.Input{Slot: "plan", Kind: media.Text, Doc: doc}
	call.Inputs = append(call.Inputs, a.open("source", a.path), promised)
	res, err := assemble.Merge(a.rig.FFmpeg).Run(t.Context(), call)
	if err != nil {
		t.Fatal(err, errs.TailOf(err))
	}
	out := res.Outputs[0].Path
	slicetest.Certified(t, a.rig.FFmpeg, a.open("source", from), promised, a.open("result", out))
	return out
}

// unmarked is an MPEG-TS file of which no packet says that it may be entered there.
func unmarked(t testing.TB, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for p := b; len(p) >= 188; p = p[188:] {
		if p[3]&0x20 != 0 && p[4] > 0 {
			p[5] &^= 0x40
		}
	}
	path = filepath.Join(t.TempDir(), "unmarked.ts")
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// TestAhead: slices that were cut by the bytes of a source give, merged, what it gives
// whole.
func TestAhead(t *testing.T) {
	t.Parallel()
	rig := fnrig.New(t)
	plain := `{"preset":"ultrafast","crf":0}`
	x264 := "-c:v libx264 -preset ultrafast -bf 2 -g 25 -pix_fmt yuv420p "
	long := func(name, more string) string {
		return fnrig.Shared(t, name, strings.Fields("-f lavfi -i testsrc2=s=96x64:r=25:d=6 -f lavfi -i anoisesrc=r=44100:d=6:a=0.3 "+more)...)
	}
	mp4 := long("plain.mp4", x264+"-c:a aac")
	open := long("open.mp4", x264+"-x264-params open-gop=1:scenecut=0 -c:a aac")
	copied := func(name, from, more string) string {
		return fnrig.Shared(t, name, append([]string{"-i", from}, strings.Fields(more)...)...)
	}
	marked := `{"preset":"ultrafast","crf":0,"texts":[{"text":"late","start":2.5,"end":6}]}`
	for _, c := range []struct {
		name, src, params string
		n                 int64 // splits; 0 = 3
	}{
		{"ts", long("a.ts", x264+"-c:a aac"), plain, 0},
		{"ts open gop", long("c.ts", x264+"-x264-params open-gop=1:scenecut=0 -c:a aac"), plain, 0},
		{"m2ts", long("d.ts", x264+"-c:a aac -mpegts_m2ts_mode 1"), plain, 0},
		{"mkv open gop", copied("open.mkv", open, "-c copy -cluster_time_limit 700"), plain, 0},
		{"mkv without cues", copied("live.mkv", mp4, "-c copy -live 1 -cluster_time_limit 500"), plain, 0},
		{"webm", long("a.webm", "-c:v libvpx-vp9 -deadline realtime -cpu-used 8 -g 25 -c:a libopus -cluster_time_limit 500"), plain, 0},
		{"fragments", copied("frag.mp4", mp4, "-c copy -movflags frag_keyframe+empty_moov"), plain, 0},
		{"fragments, based", copied("base.mp4", mp4, "-c copy -movflags frag_keyframe+empty_moov+default_base_moof+global_sidx"), plain, 0},
		{"fragments open gop", copied("ofrag.mp4", open, "-c copy -movflags frag_keyframe+empty_moov+delay_moov"), plain, 0},
		{"fragments anywhere", copied("any.mp4", open, "-c copy -movflags empty_moov -frag_duration 700000"), plain, 0},
		{"ts late, watermark", long("b.ts", x264+"-c:a mp2 -muxdelay 3 -output_ts_offset 100"), marked, 0},
		{"mkv, keyframes", copied("cues.mkv", mp4, "-c copy -cluster_time_limit 500"), `{"preset":"ultrafast","crf":0,"keyframe_seconds":0.8}`, 0},
		{"ts, nothing marked", unmarked(t, long("a.ts", x264+"-c:a aac")), plain, 0},
		{"ts, ranges without keyframes", long("e.ts", "-c:v libx264 -preset ultrafast -g 60 -pix_fmt yuv420p -c:a aac"), plain, 9},
		{"ts, mpeg2", long("f.ts", "-c:v mpeg2video -q:v 3 -bf 2 -g 12 -c:a mp2"), plain, 0},
		{"ts, hevc", long("g.ts", "-c:v libx265 -preset ultrafast -x265-params open-gop=1:keyint=25:bframes=3:log-level=error -pix_fmt yuv420p -c:a aac"), plain, 0},
		{"mkv, variable rate", long("v.mkv", "-vf select='mod(n,3)' -vsync passthrough "+x264+"-c:a aac -cluster_time_limit 500"), plain, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			f := Transcode(rig.FFmpeg)
			if c.params == marked {
				f = Watermark(rig.FFmpeg)
			}
			a := &aheadOf{t: t, rig: rig, f: f, path: c.src}
			var err error
			if a.params, err = f.Check(json.RawMessage(c.params), []media.Kind{media.Video}); err != nil {
				t.Fatal(err)
			}
			p, files, from := a.plan(max(c.n, 3))
			if !p.Ahead || len(p.Segments) < 2 || len(p.Segments) != len(files) {
				t.Fatalf("%d segments, %d files: %s: %s", len(p.Segments), len(files), p.Code, p.Reason)
			}
			alike(t, c.name, run(t, rig, f, string(a.params), nil, c.src), a.merged(p, files, from))
		})
	}
}
