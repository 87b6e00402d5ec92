package video

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/mediafn/mediafn/core/errs"
	"github.com/mediafn/mediafn/core/fn"
	"github.com/mediafn/mediafn/core/fn/fntest"
	"github.com/mediafn/mediafn/core/media"
	"github.com/mediafn/mediafn/functions/internal/fnrig"
)

func TestTranscode(t *testing.T) {
	t.Parallel()
	rig := fnrig.New(t)
	src := fntest.File{Slot: "source", Path: clip(t, "in.mp4")}
	video := func(w, h int, codec string) func(*testing.T, *fn.Result) {
		return func(t *testing.T, r *fn.Result) {
			info, err := rig.Probe(t, r.Outputs[0].Path)
			if err != nil {
				t.Fatal(err)
			}
			v := info.MainVideo()
			if v.Width != w || v.Height != h || v.Codec != codec || v.Frames != 50 || !info.HasAudio() {
				t.Errorf("%+v", v)
			}
		}
	}
	fntest.Run(t, fntest.Suite{
		Function: Transcode(rig.FFmpeg), Open: rig.Open, Probe: rig.Probe, Slow: "slow",
		Cases: []fntest.Case{
			{Name: "defaults", Inputs: []fntest.File{src}, Want: video(160, 90, "h264")},
			{Name: "slow", Params: `{"width":320,"upscale":true,"preset":"veryslow","codec":"h264","tune":"grain"}`, Inputs: []fntest.File{src}, Want: video(320, 180, "h264")},
			{Name: "h265", Params: `{"codec":"h265","preset":"ultrafast","width":80,"bit_depth":10}`, Inputs: []fntest.File{src}, Want: video(80, 46, "hevc")},
			{Name: "webm", Params: `{"format":"webm","preset":"superfast","width":64,"height":64,"fit":"pad"}`, Inputs: []fntest.File{src}, Want: video(64, 36+28, "vp9")},
			{Name: "av1", Params: `{"codec":"av1","format":"mkv","preset":"ultrafast","width":64,"height":64,"fit":"cover"}`, Inputs: []fntest.File{src}, Want: video(64, 64, "av1")},
		},
	})
}

func TestTranscodePlan(t *testing.T) {
	hdr := source1080()
	v := hdr.MainVideo()
	v.Codec, v.PixelFormat, v.BitDepth = "hevc", "yuv420p10le", 10
	v.Color = media.Color{Range: "tv", Primaries: "bt2020", Transfer: "smpte2084", Matrix: "bt2020nc"}
	r := func(n, d int64) media.Rational { return media.Rational{Num: n, Den: d} }
	v.HDR = &media.HDR{Format: "hdr10", Primaries: [3]media.Chroma{{X: r(34000, 50000), Y: r(16000, 50000)}, {X: r(13250, 50000), Y: r(34500, 50000)}, {X: r(7500, 50000), Y: r(3000, 50000)}},
		White: media.Chroma{X: r(15635, 50000), Y: r(16450, 50000)}, MinLum: r(50, 10000), MaxLum: r(10000000, 10000), Light: &media.LightLevel{MaxCLL: 1000, MaxFALL: 400}}
	part := &fn.Part{Stream: fn.Pictures, TimeBase: r(1, 30000), Start: 300300, End: 600600, Entry: 300300, Frames: 300, Scale: 90000}
	for _, c := range []struct {
		name, params string
		info         *media.Info
		part         *fn.Part
	}{
		{"whole", `{}`, source1080(), nil},
		{"slice", `{"width":1280,"height":720}`, source1080(), part},
		{"sound", `{"audio_bitrate":96000}`, source1080(), &fn.Part{Stream: fn.Sound}},
		{"rate", `{"fps":"25","max_bitrate":2000000,"bitrate":1500000,"tune":"film","profile":"high","level":"4.1","keyframe_seconds":2}`, source1080(), part},
		{"h265_hdr10", `{"codec":"h265"}`, hdr, part},
		{"av1_hdr10", `{"codec":"av1","format":"mkv"}`, hdr, nil},
		{"tonemap", `{}`, hdr, nil},
		{"webm", `{"format":"webm","crf":30,"subtitles":"keep","metadata":"strip"}`, source1080(), nil},
		{"trim", `{"start":1.5,"end":4,"audio_codec":"copy","deinterlace":"on"}`, source1080(), nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			raw, err := Transcode(nil).Check(json.RawMessage(c.params), []media.Kind{media.Video})
			if err != nil {
				t.Fatal(err)
			}
			var p transcodeParams
			if err := json.Unmarshal(raw, &p); err != nil {
				t.Fatal(err)
			}
			golden(t, "transcode_"+c.name, argvText(t, planTranscode(&p, c.info, c.part, 2)))
		})
	}
}

func TestTranscodeRefuses(t *testing.T) {
	f := Transcode(nil)
	for params, field := range map[string]string{
		`{"crf":20,"bitrate":100000}`:                  "params.bitrate",
		`{"crf":52}`:                                   "params.crf",
		`{"codec":"av1","crf":20.5}`:                   "params.crf",
		`{"format":"webm","codec":"h264"}`:             "params.codec",
		`{"format":"webm","audio_codec":"aac"}`:        "params.audio_codec",
		`{"codec":"h265","tune":"film"}`:               "params.tune",
		`{"codec":"av1","max_bitrate":1000000}`:        "params.max_bitrate",
		`{"buffer":1000}`:                              "params.buffer",
		`{"gop":10,"keyframe_seconds":1}`:              "params.keyframe_seconds",
		`{"codec":"vp9","bframes":2}`:                  "params.bframes",
		`{"fit":"pad","width":100}`:                    "params.fit",
		`{"profile":"high","bit_depth":10}`:            "params.profile",
		`{"codec":"av1","pixel_format":"yuv444p"}`:     "params.pixel_format",
		`{"bit_depth":9}`:                              "params.bit_depth",
		`{"fps":"25/0"}`:                               "params.fps",
		`{"fps":"fast"}`:                               "params.fps",
		`{"start":5,"end":5}`:                          "params.end",
		`{"color":"bt709","hdr":"keep"}`:               "params.hdr",
		`{"pad_color":"red:enable=1"}`:                 "params.pad_color",
		`{"level":"4.1,open-gop=1","codec":"h265"}`:    "params.level",
		`{"audio_codec":"mp3","audio_channels":6}`:     "params.audio_channels",
		`{"audio_codec":"opus","audio_sample_rate":1}`: "params.audio_sample_rate",
	} {
		if _, err := f.Check(json.RawMessage(params), []media.Kind{media.Video}); !errs.Is(err, errs.Invalid) || errs.FieldOf(err) != field {
			t.Errorf("%s: %v names %q, want %q", params, err, errs.FieldOf(err), field)
		}
	}
}

// TestTranscodeSlices holds slices against the source: every frame, no other,
// at its own time.
func TestTranscodeSlices(t *testing.T) {
	t.Parallel()
	rig := fnrig.New(t)
	x264 := func(rate string, more ...string) []string {
		return append([]string{"-f", "lavfi", "-i", "testsrc2=s=96x64:r=" + rate + ":d=4", "-c:v", "libx264", "-preset", "veryfast", "-pix_fmt", "yuv420p",
			"-g", "20", "-bf", "3", "-vsync", "passthrough"}, more...)
	}
	for _, c := range []struct {
		name, file string
		args       []string
	}{
		{"23.976", "in.mp4", x264("24000/1001")},
		{"25", "in.mp4", x264("25")},
		{"29.97 open GOP", "in.mp4", x264("30000/1001", "-x264-params", "open-gop=1:b-pyramid=normal:bframes=3")},
		{"59.94 mkv", "in.mkv", x264("60000/1001")},
		{"variable", "in.mp4", x264("30", "-vf", "select='not(eq(mod(n,7),3))',setpts='PTS+gt(mod(N,5),2)*0.004/TB'", "-enc_time_base", "1:90000", "-video_track_timescale", "90000")},
		{"variable mkv", "in.mkv", x264("30", "-vf", "select='not(eq(mod(n,7),3))'")},
		{"late start", "in.mp4", x264("25", "-output_ts_offset", "0.7")},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			path := fnrig.Generate(t, c.file, c.args...)
			info, err := rig.Probe(t, path)
			if err != nil {
				t.Fatal(err)
			}
			want, at := hashes(t, path), times(t, path)
			f := Transcode(rig.FFmpeg)
			params := `{"crf":0,"preset":"ultrafast","audio_codec":"none"}`
			whole, err := rig.Run(t, f, params, nil, path)
			if err != nil {
				t.Fatal(err, errs.TailOf(err))
			}
			if got := hashes(t, whole.Outputs[0].Path); strings.Join(got, " ") != strings.Join(want, " ") {
				t.Errorf("whole: %d pictures, not the source's %d", len(got), len(want))
			}
			if got := times(t, whole.Outputs[0].Path); !sameTimes(got, at, 0) {
				t.Errorf("whole: times\n%v\nwant\n%v", got, at)
			}
			frame := 0
			for _, p := range cut(t, info, 2) {
				res, err := rig.Run(t, f, params, &p, path)
				if err != nil {
					t.Fatal(err, errs.TailOf(err))
				}
				out := res.Outputs[0].Path
				end := min(frame+int(p.Frames), len(want))
				if got := hashes(t, out); strings.Join(got, " ") != strings.Join(want[frame:end], " ") {
					t.Errorf("slice %d: %d pictures, not the source's %d–%d", p.Order, len(got), frame, end)
				}
				if got := times(t, out); !sameTimes(got, at[frame:end], at[frame]) {
					t.Errorf("slice %d: times %v, want %v", p.Order, got, at[frame:end])
				}
				frame = end
			}
			if frame != len(want) {
				t.Errorf("%d of %d frames", frame, len(want))
			}
		})
	}
}

// sameTimes compares times, want less its own origin, to 11 µs and what
// ffprobe rounds.
func sameTimes(got, want []float64, origin float64) bool {
	if len(got) != len(want) {
		return false
	}
	for i := range got {
		if !near(got[i], want[i]-origin, 13e-6) {
			return false
		}
	}
	return true
}

// TestTranscodeJoints concatenates slices with B frames of every codec: frame
// times must come out as planned, edit lists of the slices included.
func TestTranscodeJoints(t *testing.T) {
	t.Parallel()
	rig := fnrig.New(t)
	path := clip(t, "in.mp4", "-bf", "2")
	info, err := rig.Probe(t, path)
	if err != nil {
		t.Fatal(err)
	}
	for _, codec := range []string{"h264", "h265", "av1", "vp9"} {
		t.Run(codec, func(t *testing.T) {
			list := "ffconcat version 1.0\n"
			for _, p := range cut(t, info, 2) {
				res, err := rig.Run(t, Transcode(rig.FFmpeg), `{"codec":"`+codec+`","preset":"veryfast"}`, &p, path)
				if err != nil {
					t.Fatal(err, errs.TailOf(err))
				}
				if said := fnrig.Shell(t, "ffprobe", "-v", "warning", "-show_packets", "-show_entries", "packet=pts", "-of", "csv=p=0", res.Outputs[0].Path); !strings.HasPrefix(said, "0") {
					t.Errorf("the slice does not begin at zero: %.20s", said)
				}
				list += fmt.Sprintf("file '%s'\nduration %.6f\n", res.Outputs[0].Path, p.TimeBase.Seconds(p.End-p.Start))
			}
			joined := fnrig.Generate(t, "joined.mp4", "-f", "concat", "-safe", "0", "-i", write(t, "list.txt", list), "-c", "copy", "-video_track_timescale", "90000")
			if got := times(t, joined); !sameTimes(got, times(t, path), 0) {
				t.Errorf("times %v", got)
			}
		})
	}
}

// TestTranscodeRate: slices at another frame rate are the whole's frames.
func TestTranscodeRate(t *testing.T) {
	t.Parallel()
	rig := fnrig.New(t)
	path := fnrig.Generate(t, "in.mp4", "-f", "lavfi", "-i", "testsrc2=s=96x64:r=50:d=4", "-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p", "-g", "50")
	info, err := rig.Probe(t, path)
	if err != nil {
		t.Fatal(err)
	}
	for _, fps := range []string{"25", "20", "100"} {
		params := `{"crf":0,"preset":"ultrafast","fps":"` + fps + `"}`
		whole, err := rig.Run(t, Transcode(rig.FFmpeg), params, nil, path)
		if err != nil {
			t.Fatal(err, errs.TailOf(err))
		}
		var all []string
		for _, p := range cut(t, info, 2) {
			res, err := rig.Run(t, Transcode(rig.FFmpeg), params, &p, path)
			if err != nil {
				t.Fatal(err, errs.TailOf(err))
			}
			all = append(all, hashes(t, res.Outputs[0].Path)...)
		}
		if want := hashes(t, whole.Outputs[0].Path); strings.Join(all, " ") != strings.Join(want, " ") {
			t.Errorf("%s fps: slices give %d frames, the whole %d", fps, len(all), len(want))
		}
	}
}

// TestTranscodeSound: the sound slice keeps the source's time line to the
// millisecond: late sound, priming, and of opus too.
func TestTranscodeSound(t *testing.T) {
	t.Parallel()
	rig := fnrig.New(t)
	for _, late := range []string{"0", "0.5"} {
		// A click one second into the sound marks the time.
		path := fnrig.Generate(t, "in.mov", "-f", "lavfi", "-i", "testsrc2=s=96x64:r=25:d=4", "-itsoffset", late, "-f", "lavfi", "-i",
			"aevalsrc='if(between(t,1,1.02),0.8*sin(2*PI*1000*t),0)':s=48000:d=3", "-map", "0", "-map", "1", "-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p", "-c:a", "pcm_s16le")
		want := onset(t, path)
		for _, params := range []string{`{}`, `{"format":"webm"}`, `{"audio_codec":"mp3"}`, `{"audio_codec":"flac"}`, `{"format":"mkv","audio_codec":"opus","audio_sample_rate":24000}`, `{"format":"mkv"}`} {
			for _, part := range []*fn.Part{{Stream: fn.Sound}, nil} {
				params := strings.Replace(params, "{", `{"preset":"ultrafast",`, 1)
				res, err := rig.Run(t, Transcode(rig.FFmpeg), strings.Replace(params, ",}", "}", 1), part, path)
				if err != nil {
					t.Fatal(err, errs.TailOf(err))
				}
				got := onset(t, res.Outputs[0].Path)
				if part == nil {
					got -= times(t, res.Outputs[0].Path)[0] // players go by the distance
				}
				if !near(got, want, 0.001) {
					t.Errorf("late %s s, %s, sliced %v: the click is at %.4f s, in the source at %.4f s", late, params, part != nil, got, want)
				}
			}
		}
	}
}

// TestTranscodeDisplay: a rotated source is stored upright, sliced or not.
func TestTranscodeDisplay(t *testing.T) {
	t.Parallel()
	rig := fnrig.New(t)
	path := fnrig.Generate(t, "in.mp4", "-i", clip(t, "flat.mp4"), "-c", "copy", "-metadata:s:v:0", "rotate=90")
	info, err := rig.Probe(t, path)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range append([]*fn.Part{nil}, &cut(t, info, 2)[0]) {
		res, err := rig.Run(t, Transcode(rig.FFmpeg), `{"preset":"ultrafast"}`, p, path)
		if err != nil {
			t.Fatal(err, errs.TailOf(err))
		}
		out, err := rig.Probe(t, res.Outputs[0].Path)
		if err != nil {
			t.Fatal(err)
		}
		if v := out.MainVideo(); v.Width != 90 || v.Height != 160 || v.Rotation != 0 {
			t.Errorf("%dx%d rotated %d", v.Width, v.Height, v.Rotation)
		}
	}
}

// TestTranscodeColour: tags and values survive, full range too.
func TestTranscodeColour(t *testing.T) {
	t.Parallel()
	rig := fnrig.New(t)
	for _, c := range [][4]string{{"tv", "bt709", "bt709", "bt709"}, {"tv", "smpte170m", "smpte170m", "smpte170m"}, {"pc", "bt709", "bt709", "bt709"}, {"tv", "bt2020", "bt2020-10", "bt2020nc"}} {
		path := fnrig.Generate(t, "in.mp4", "-f", "lavfi", "-i", "testsrc2=s=96x64:r=25:d=1", "-vf", "scale=out_range="+c[0]+",format=yuv420p", "-c:v", "libx264", "-preset", "ultrafast", "-crf", "0",
			"-color_range", c[0], "-color_primaries", c[1], "-color_trc", c[2], "-colorspace", c[3])
		for _, codec := range []string{"h264", "h265"} {
			res, err := rig.Run(t, Transcode(rig.FFmpeg), `{"crf":0,"preset":"ultrafast","codec":"`+codec+`"}`, nil, path)
			if err != nil {
				t.Fatal(err, errs.TailOf(err))
			}
			out, err := rig.Probe(t, res.Outputs[0].Path)
			if err != nil {
				t.Fatal(err)
			}
			v := out.MainVideo()
			if v.Color.Range != c[0] || v.Color.Primaries != c[1] || v.Color.Transfer != c[2] || v.Color.Matrix != c[3] {
				t.Errorf("%s %v: tags %+v", codec, c, v.Color)
			}
			if codec == "h264" && strings.Join(hashes(t, res.Outputs[0].Path), " ") != strings.Join(hashes(t, path), " ") {
				t.Errorf("%v: values changed", c)
			}
		}
	}
}
