package assemble

import (
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/mediafn/mediafn/core/fn"
	"github.com/mediafn/mediafn/core/media"
	"github.com/mediafn/mediafn/core/slice"
	"github.com/mediafn/mediafn/functions/internal/source"
)

const colours = "-color_range tv -color_primaries bt709 -color_trc bt709 -colorspace bt709"

func TestMergedFilesAreAsPromised(t *testing.T) {
	t.Parallel()
	uneven := "setpts='PTS+gt(mod(N,7),3)*0.4/(FRAME_RATE*TB)+gt(N,90)*0.5/TB'"
	cases := []struct {
		name, rate, filter, options, container string
	}{
		{"23.976.mp4", "24000/1001", "", colours, "mp4"},
		{"25.mp4", "25", "", "-movflags +faststart", "mp4"},
		{"29.97.mov", "30000/1001", "", "", "mov"},
		{"50.mp4", "50", "", "-bf 3 -x264-params b-pyramid=normal:open-gop=1", "mp4"},
		{"59.94.mkv", "60000/1001", "", colours, "mp4"},
		{"59.94.mp4", "60000/1001", "", "", "mkv"},
		{"variable.mp4", "30", uneven, "-enc_time_base 1/90000 -video_track_timescale 90000", "mp4"},
		{"variable.mkv", "30", uneven, "-enc_time_base 1/1000", "mkv"},
		{"late.mp4", "25", "", "-output_ts_offset 0.2", "mp4"},
		{"late-picture.mp4", "30000/1001", "setpts=PTS+0.5/TB", "", "mp4"},
		{"one-gop.mp4", "25", "", "-g 1000 -keyint_min 1000", "mp4"},
		{"lying.mp4", "25", "transpose=2", "", "mp4"},
	}
	for _, c := range cases {
		t.Run(c.name+" to "+c.container, func(t *testing.T) {
			t.Parallel()
			b := newBench(t)
			src := b.clip(c.name, c.rate, c.filter, strings.Fields(c.options)...)
			if c.name == "lying.mp4" {
				src = b.turn(src, "90") // ffmpeg turns the pixels and drops the mark
			}
			w := b.slice(src, fn.Assembly{Container: c.container, Sound: true}, x264)
			if len(w.slices) < 3 {
				t.Fatalf("%d slices", len(w.slices))
			}
			result, facts := b.merge(w)
			cert := b.certify(w, result)
			if !cert.OK || facts.ParameterSets != "equal" || len(cert.Joints) != len(w.slices)-1 {
				t.Fatalf("%+v\n%s", facts, text(cert))
			}
			if i := slices.IndexFunc(cert.Checks, func(k slice.Check) bool { return k.Name == "slice_order" }); !strings.Contains(cert.Checks[i].Detail, "compared") {
				t.Fatalf("%+v", cert.Checks[i])
			}
			info := b.facts(result)
			if c.container == "mp4" && (info.FastStart == nil || !*info.FastStart) {
				t.Fatal("not ready for streaming")
			}
		})
	}
}

// Slices, sound and source need not lie on this machine's disk.
func TestMergeReadsOverHTTP(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	src := b.clip("s.mp4", "25", "")
	w := b.slice(src, fn.Assembly{Container: "mp4", Sound: true}, x264)
	server := httptest.NewServer(http.FileServer(http.Dir(b.dir)))
	defer server.Close()
	b.url = server.URL
	result, _ := b.merge(w)
	if c := b.certify(w, result); !c.OK {
		t.Fatal(text(c))
	}
}

// A function may change the frame rate: slices then begin where both clocks
// meet, and together have the frames the whole would have.
func TestChangedFrameRate(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	rate := media.Rational{Num: 25, Den: 1}
	src := b.clip("s.mp4", "30", "")
	w := b.slice(src, fn.Assembly{Container: "mp4", Sound: true, FrameRate: rate}, x264)
	info := b.facts(src)
	w.slices = nil
	for _, p := range w.plan.Segments {
		length := p.TimeBase.Seconds(p.End - p.Start)
		p.Frames = int64(length*25 + 0.5)
		w.slices = append(w.slices, b.cut(w, info, p, x264, "", "-vf", "fps=25", "-enc_time_base", "1/25"))
	}
	result, _ := b.merge(w)
	if c := b.certify(w, result); !c.OK || w.plan.Promise.Frames != 175 {
		t.Fatal(text(c))
	}
}

// What a slice's track says of its look, the whole says too.
func TestLookOfSlicesIsKept(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	src := b.clip("s.mp4", "25", "", "-an")
	for _, turn := range []string{"90", "180", "270"} {
		look := append(strings.Fields(colours+" -vf setsar=4/3"), x264...)
		for _, container := range []string{"mp4", "mkv"} {
			w := b.slice(src, fn.Assembly{Container: container}, look)
			for i := range w.slices {
				w.slices[i] = b.turn(w.slices[i], turn)
			}
			result, _ := b.merge(w)
			v, got := b.facts(w.slices[0]).MainVideo(), b.look(result, source.Want{Probe: true}).MainVideo()
			if v.Rotation == 0 || v.SAR.Num != 4 || got.Color != v.Color || got.SAR != v.SAR || container == "mp4" && got.Rotation != v.Rotation {
				t.Errorf("%s: %d° %v %+v became %d° %v %+v", container, v.Rotation, v.SAR, v.Color, got.Rotation, got.SAR, got.Color)
			}
		}
	}
}

// HDR10 data travels in the stream, through every slice and the merge.
func TestHDRSurvives(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	x265 := []string{"-c:v", "libx265", "-preset", "ultrafast", "-pix_fmt", "yuv420p10le", "-tag:v", "hvc1", "-x265-params",
		"log-level=none:keyint=25:pools=none:frame-threads=1:hdr10=1:colorprim=bt2020:transfer=smpte2084:colormatrix=bt2020nc:range=limited:" +
			"master-display=G(13250,34500)B(7500,3000)R(34000,16000)WP(15635,16450)L(10000000,50):max-cll=1000,400"}
	src := b.clip("hdr.mp4", "25", "", x265...)
	w := b.slice(src, fn.Assembly{Container: "mp4", Sound: true}, x265)
	if w.plan.Promise.HDR == nil {
		t.Fatal("the profile does not see HDR data")
	}
	result, _ := b.merge(w)
	if cert := b.certify(w, result); !cert.OK {
		t.Fatal(text(cert))
	}
	w.plan.Promise.HDR.Light = &media.LightLevel{MaxCLL: 4000, MaxFALL: 400}
	fails(t, b.certify(w, result), "hdr")
}

// fails wants exactly the named checks to fail.
func fails(t *testing.T, c slice.Certificate, want ...string) {
	t.Helper()
	got := c.Failed()
	if c.OK || !slices.Equal(got, want) {
		t.Errorf("failed: %v, want %v\n%s", got, want, text(c))
	}
}

func TestBrokenResultsAreFound(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	src := b.clip("s.mp4", "25", "", strings.Fields(colours)...)
	w := b.slice(src, fn.Assembly{Container: "mp4", Sound: true, Width: 160, Height: 90}, x264)
	good, _ := b.merge(w)
	if c := b.certify(w, good); !c.OK {
		t.Fatal(text(c))
	}
	info := b.facts(src)
	intact := slices.Clone(w.slices)
	recut := func(i int, change func(*fn.Part), codec []string, more ...string) string {
		w.slices = slices.Clone(intact)
		p := w.plan.Segments[i]
		if change != nil {
			change(&p)
		}
		w.slices[i] = b.cut(w, info, p, codec, "-other", more...)
		result, _ := b.merge(w)
		w.slices = slices.Clone(intact)
		return result
	}
	t.Run("a frame dropped inside", func(t *testing.T) {
		fails(t, b.certify(w, recut(1, func(p *fn.Part) { p.Frames-- }, x264, "-vf", "select=not(eq(n\\,7))")), "frame_count", "frame_times", "idr_at_joints")
	})
	t.Run("a frame dropped at the end", func(t *testing.T) {
		fails(t, b.certify(w, recut(1, func(p *fn.Part) { p.Frames-- }, x264)), "frame_count", "frame_times", "idr_at_joints")
	})
	t.Run("a frame late", func(t *testing.T) {
		fails(t, b.certify(w, recut(1, nil, x264, "-vf", "setpts=PTS+eq(N\\,7)*0.02/TB")), "frame_times")
	})
	t.Run("slices swapped", func(t *testing.T) {
		w.slices[1], w.slices[2] = w.slices[2], w.slices[1]
		result, _ := b.merge(w)
		w.slices = slices.Clone(intact)
		c := b.certify(w, result)
		if c.OK || !slices.Contains(c.Failed(), "slice_order") {
			t.Error(text(c))
		}
	})
	t.Run("a slice twice, another missing", func(t *testing.T) {
		w.slices[2] = w.slices[1]
		result, _ := b.merge(w)
		w.slices = slices.Clone(intact)
		c := b.certify(w, result)
		if c.OK || !slices.Contains(c.Failed(), "frame_times") {
			t.Error(text(c))
		}
	})
	t.Run("a slice missing", func(t *testing.T) {
		full := w.plan
		w.plan.Segments = slices.Delete(slices.Clone(full.Segments), 3, 4)
		w.slices = intact[:3]
		result, _ := b.merge(w)
		w.plan, w.slices = full, slices.Clone(intact)
		c := b.certify(w, result)
		for _, name := range []string{"frame_count", "last_pts", "duration", "idr_at_joints"} {
			if !slices.Contains(c.Failed(), name) {
				t.Errorf("%s holds\n%s", name, text(c))
			}
		}
	})
	t.Run("other parameter sets", func(t *testing.T) {
		w.slices[2] = b.cut(w, info, w.plan.Segments[2], []string{"-c:v", "libx264", "-preset", "fast", "-bf", "2", "-crf", "30"}, "-sets")
		result, facts := b.merge(w)
		w.slices = slices.Clone(intact)
		if facts.ParameterSets != "different" {
			t.Error(facts)
		}
		c := b.certify(w, result)
		if c.OK || !slices.Contains(c.Failed(), "parameter_sets_equal") {
			t.Error(text(c))
		}
	})
	remux := func(name string, args ...string) string {
		out := b.path(name)
		b.run(append(append([]string{"-copyts"}, args...), "-avoid_negative_ts", "disabled", "-video_track_timescale", "12800", "-movie_timescale", "90000", out)...)
		return out
	}
	t.Run("sound 40 ms late", func(t *testing.T) {
		fails(t, b.certify(w, remux("late.mp4", "-i", good, "-itsoffset", "0.04", "-i", good, "-map", "0:v", "-map", "1:a", "-c", "copy")), "audio_samples", "audio_offset")
	})
	t.Run("sound lost", func(t *testing.T) {
		fails(t, b.certify(w, remux("mute.mp4", "-i", good, "-an", "-c", "copy")), "streams")
	})
	t.Run("sound cut short", func(t *testing.T) {
		fails(t, b.certify(w, remux("short.mp4", "-i", good, "-t", "6", "-i", good, "-map", "0:v", "-map", "1:a", "-c", "copy")), "audio_samples")
	})
	t.Run("wrong colour tags", func(t *testing.T) {
		fails(t, b.certify(w, remux("colour.mp4", "-i", good, "-c", "copy", "-bsf:v", "h264_metadata=colour_primaries=5:transfer_characteristics=6:matrix_coefficients=6",
			"-color_primaries", "smpte170m", "-color_trc", "smpte170m", "-colorspace", "smpte170m")), "color_tags")
	})
	t.Run("turned", func(t *testing.T) {
		fails(t, b.certify(w, remux("turned.mp4", "-i", good, "-c", "copy", "-metadata:s:v", "rotate=90")), "orientation", "display_size")
	})
	t.Run("stretched", func(t *testing.T) {
		fails(t, b.certify(w, remux("wide.mp4", "-i", good, "-c", "copy", "-aspect", "4:3")), "display_size")
	})
	t.Run("no IDR at a joint", func(t *testing.T) {
		whole := b.path("whole.mp4")
		b.run(append(append([]string{"-copyts", "-i", src}, x264...), "-vsync", "passthrough", "-enc_time_base", "-1", "-c:a", "aac", "-g", "1000", "-keyint_min", "1000", "-sc_threshold", "0",
			"-avoid_negative_ts", "disabled", "-video_track_timescale", "12800", "-movie_timescale", "90000", whole)...)
		fails(t, b.certify(w, whole), "idr_at_joints")
	})
	t.Run("buffer drained", func(t *testing.T) {
		w.plan.Promise.MaxRate, w.plan.Promise.BufSize = 20_000, 20_000
		fails(t, b.certify(w, good), "vbv")
		w.plan.Promise.MaxRate, w.plan.Promise.BufSize = 50_000_000, 50_000_000
		if c := b.certify(w, good); !c.OK {
			t.Error(text(c))
		}
		w.plan.Promise.MaxRate, w.plan.Promise.BufSize = 0, 0
	})
}

// What lies beside picture and sound is kept as far as the container can.
func TestChaptersTagsAndSubtitlesAreKept(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	meta, subs := b.path("meta.txt"), b.path("s.srt")
	write := func(path, text string) {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(meta, ";FFMETADATA1\ntitle=A film\n[CHAPTER]\nTIMEBASE=1/1000\nSTART=0\nEND=3000\ntitle=One\n[CHAPTER]\nTIMEBASE=1/1000\nSTART=3000\nEND=7000\ntitle=Two\n")
	write(subs, "1\n00:00:01,000 --> 00:00:02,500\nHello\n")
	plain := b.clip("plain.mkv", "25", "")
	src := b.path("full.mkv")
	b.run("-i", plain, "-i", subs, "-f", "ffmetadata", "-i", meta, "-map", "0", "-map", "1", "-map_metadata", "2", "-map_chapters", "2", "-c", "copy", src)
	for _, container := range []string{"mp4", "mkv"} {
		w := b.slice(src, fn.Assembly{Container: container, Sound: true}, x264)
		result, facts := b.merge(w)
		if c := b.certify(w, result); !c.OK {
			t.Fatal(text(c))
		}
		info := b.facts(result)
		subtitles := 0
		for _, o := range info.Other {
			if o.Type == "subtitle" {
				subtitles++
			}
		}
		if len(info.Chapters) != 2 || info.Chapters[1].Title != "Two" || info.Tags["title"] != "A film" || subtitles != 1 || len(facts.LeftOut) > 0 {
			t.Errorf("%s: chapters %v, tags %v, other %+v, left out %v", container, info.Chapters, info.Tags, info.Other, facts.LeftOut)
		}
	}
}
