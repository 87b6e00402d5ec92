package assemble

import (
	"bytes"
	"io"
	"math"
	"os"
	"strings"
	"testing"

	"github.com/mediafn/mediafn/core/errs"
	"github.com/mediafn/mediafn/core/fn"
	"github.com/mediafn/mediafn/functions/internal/coded"
	"github.com/mediafn/mediafn/functions/internal/source"
)

func TestConcatJoinsByCopy(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	a := b.clip("a.mp4", "30000/1001", "")
	c := b.path("c's.mp4") // a name that needs escaping
	if err := os.Rename(b.clip("c.mp4", "30000/1001", "hflip"), c); err != nil {
		t.Fatal(err)
	}
	for _, container := range []string{"auto", "mkv"} {
		res, err := b.call(Concat(b.ff), `{"container":"`+container+`"}`, b.input("videos", a), b.input("videos", c), b.input("videos", a))
		if err != nil {
			t.Fatal(err)
		}
		one, all := b.look(a, source.Want{Frames: true}), b.look(res.Outputs[0].Path, source.Want{Frames: true})
		v, w := one.MainVideo(), all.MainVideo()
		if w.Frames != 3*v.Frames || len(all.Audio) != 1 {
			t.Fatalf("%d frames of 3 × %d, %d sound tracks", w.Frames, v.Frames, len(all.Audio))
		}
		second := w.TimeBase.Seconds(w.FrameList[v.Frames].PTS - w.FrameList[0].PTS)
		if d := second - (ends(one) - one.StartTime); math.Abs(d) > 0.0006 {
			t.Errorf("%s: the second begins %f s from where the first ends", container, d)
		}
	}
}

func TestConcatRefusesWhatDiffers(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	a := b.clip("a.mp4", "25", "")
	for want, other := range map[string]string{
		"size":              b.clip("size.mp4", "25", "scale=128:72"),
		"parameter sets":    b.clip("sets.mp4", "25", "", "-preset", "fast"),
		"sound tracks":      b.clip("mute.mp4", "25", "", "-an"),
		"sample rate":       b.clip("rate.mp4", "25", "", "-ar", "44100"),
		"remux it first":    b.clip("other.ts", "25", ""),
		"video codec":       b.clip("codec.mp4", "25", "", "-c:v", "mpeg4", "-bf", "0"),
		"sample aspect rat": b.clip("sar.mp4", "25", "setsar=4/3"),
	} {
		_, err := b.call(Concat(b.ff), "", b.input("videos", a), b.input("videos", other))
		if !errs.Is(err, errs.Unsupported) || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", want, err)
		}
	}
}

func TestMuxAddsSound(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	video := b.clip("v.mp4", "25", "", "-an", "-metadata", "title=A film")
	sound := b.path("s.m4a")
	b.run("-f", "lavfi", "-i", "sine=f=300:d=5", "-c:a", "aac", sound)
	for _, c := range []struct {
		container string
		offset    float64
	}{{"mp4", 0}, {"mov", 0.5}, {"mkv", 0.5}} {
		params := `{"container":"` + c.container + `"}`
		if c.offset != 0 {
			params = `{"container":"` + c.container + `","offset":0.5}`
		}
		res, err := b.call(Mux(b.ff), params, b.input("video", video), b.input("sound", sound), b.input("sound", sound))
		if err != nil {
			t.Fatal(err)
		}
		info := b.facts(res.Outputs[0].Path)
		if len(info.Video) != 1 || len(info.Audio) != 2 || info.Tags["title"] != "A film" {
			t.Errorf("%s: %d video, %d audio, tags %v", c.container, len(info.Video), len(info.Audio), info.Tags)
		}
		if got := info.Audio[0].StartTime; math.Abs(got-c.offset) > 0.025 { // priming, where it cannot be cut off
			t.Errorf("%s: sound starts at %f", c.container, got)
		}
	}
	if _, err := b.call(Mux(b.ff), `{"container":"webm"}`, b.input("video", video), b.input("sound", sound)); !errs.Is(err, errs.Unsupported) {
		t.Errorf("H.264 in WebM: %v", err)
	}
}

func TestPublishIsIdentity(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	path := b.clip("a.mp4", "25", "")
	res, err := b.call(Publish(), "", b.input("files", path), b.input("files", path))
	if err != nil || len(res.Outputs) != 2 {
		t.Fatal(res, err)
	}
	want, _ := os.ReadFile(path)
	got, _ := os.ReadFile(res.Outputs[1].Path)
	if !bytes.Equal(want, got) {
		t.Fatal("the bytes differ")
	}
}

func TestWithoutFFmpegTheFunctionsLoadAndRefuse(t *testing.T) {
	t.Parallel()
	for _, f := range []fn.Function{Merge(nil), Mux(nil), Concat(nil), Certify(nil)} {
		if _, err := f.Run(t.Context(), &fn.Call{Params: []byte("{}")}); !errs.Is(err, errs.Unsupported) {
			t.Errorf("%s: %v", f.Spec().Name, err)
		}
	}
}

// What is wired wrongly is our fault; what is damaged is the file's.
func TestMergeAndCertifyRefuse(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	src := b.clip("s.mp4", "25", "")
	plan := fn.Input{Slot: "plan", Doc: []byte(`{"sliced":false,"segments":[]}`)}
	if _, err := b.call(Merge(b.ff), "", b.input("slices", src), b.input("source", src), plan); !errs.Is(err, errs.Internal) {
		t.Error(err)
	}
	if _, err := b.call(Certify(b.ff), "", b.input("result", src), b.input("source", src), plan); !errs.Is(err, errs.Internal) {
		t.Error(err)
	}
	w := b.slice(src, fn.Assembly{Container: "mp4", Sound: true}, x264)
	whole, err := os.ReadFile(src)
	if err != nil {
		t.Fatal(err)
	}
	broken := b.path("broken.mp4")
	if err := os.WriteFile(broken, whole[:len(whole)/2], 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := b.call(Certify(b.ff), "", b.input("result", broken), b.input("source", src), b.document(w)); !errs.Is(err, errs.Invalid) {
		t.Error(err)
	}
}

func FuzzTables(f *testing.F) {
	trak := func(stbl string) string {
		wrap := func(name, content string) string {
			n := len(content) + 8
			return string([]byte{byte(n >> 24), byte(n >> 16), byte(n >> 8), byte(n)}) + name + content
		}
		return wrap("moov", wrap("trak", wrap("mdia", wrap("hdlr", "\x00\x00\x00\x00\x00\x00\x00\x00vide")+wrap("minf", wrap("stbl", stbl)))))
	}
	f.Add([]byte(trak("")))
	f.Add([]byte(trak("\x00\x00\x00\x18stsd\x00\x00\x00\x00\x00\x00\x00\x01\x00\x00\x00\x08avc1\x00\x00\x00\x18stts\x00\x00\x00\x00\x00\x00\x00\x01\x00\x00\x00\x02\x00\x00\x00\x03\x00\x00\x00\x14stsz\x00\x00\x00\x00\x00\x00\x00\x09\x00\x00\x00\x02")))
	f.Fuzz(func(t *testing.T, b []byte) {
		tab, err := coded.MP4(bytes.NewReader(b), int64(len(b)))
		if err != nil && !errs.Is(err, errs.Invalid) && !errs.Is(err, errs.TooLarge) && err != io.EOF {
			t.Fatal(err)
		}
		if err == nil && tab.Entry == "" {
			t.Fatal("no entry")
		}
		for _, name := range []string{"h264", "hevc"} {
			for width := 1; width <= 4; width++ {
				parameterSets(name, b, width)
				entry(name, b, width)
			}
		}
	})
}
