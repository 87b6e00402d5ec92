package video

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/mediafn/mediafn/core/errs"
	"github.com/mediafn/mediafn/functions/internal/fnrig"
)

// TestFields: interlaced sources, whole and sliced. A deinterlacer looks at
// neighbours, so joints show whether slices had theirs.
func TestFields(t *testing.T) {
	t.Parallel()
	rig := fnrig.New(t)
	f := Transcode(rig.FFmpeg)
	field := func(name, order string, more ...string) string {
		mode := map[string]string{"tff": "interleave_top", "bff": "interleave_bottom"}[order]
		return fnrig.Shared(t, name, append([]string{"-f", "lavfi", "-i", "testsrc2=s=96x64:r=50:d=2.6", "-vf", "tinterlace=mode=" + mode + ",setfield=" + order,
			"-pix_fmt", "yuv420p", "-flags", "+ildct+ilme", "-g", "10"}, more...)...)
	}
	x264 := func(order string) []string {
		return []string{"-c:v", "libx264", "-preset", "ultrafast", "-crf", "5", "-bf", "2", "-x264-params", order + "=1"}
	}
	for _, c := range []struct{ name, src, sent string }{
		{"tff", field("tff.mp4", "tff", x264("tff")...), "tff"},
		{"bff", field("bff.mp4", "bff", x264("bff")...), "bff"},
		{"tff mkv", field("tff.mkv", "tff", x264("tff")...), "tff"},
		{"mpeg2", field("mpeg2.mkv", "tff", "-c:v", "mpeg2video", "-q:v", "2", "-bf", "2"), "tff"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			at := times(t, c.src)
			var made []string
			for _, mode := range []string{"auto", "off", "on"} {
				params := `{"preset":"ultrafast","crf":0,"audio_codec":"none","deinterlace":"` + mode + `"}`
				whole := run(t, rig, f, params, nil, c.src)
				if got := times(t, whole); !sameTimes(got, at, 0) {
					t.Errorf("%s: times %v, source %v", mode, got, at)
				}
				if mode == "auto" {
					alike(t, mode, whole, sliced(t, rig, f, params, c.src))
				}
				made = append(made, strings.Join(hashes(t, whole), " "))
			}
			ref := fnrig.Generate(t, "ref.mp4", "-i", c.src, "-vf", "yadif=deint=all:parity="+c.sent, "-c:v", "libx264", "-preset", "ultrafast", "-crf", "0", "-vsync", "passthrough")
			if made[0] != strings.Join(hashes(t, ref), " ") || made[2] != made[0] {
				t.Error("auto and on are not what yadif makes of the fields")
			}
			if made[1] != strings.Join(hashes(t, c.src), " ") {
				t.Error("off changes the pictures")
			}
		})
	}
	t.Run("progressive", func(t *testing.T) {
		src := longer(t)
		if a, b := run(t, rig, f, `{"preset":"ultrafast","crf":0,"deinterlace":"auto"}`, nil, src), src; strings.Join(hashes(t, a), " ") != strings.Join(hashes(t, b), " ") {
			t.Error("auto touches progressive pictures")
		}
		params := `{"preset":"ultrafast","crf":0,"deinterlace":"on","fps":"12.5"}`
		alike(t, params, run(t, rig, f, params, nil, src), sliced(t, rig, f, params, src))
	})
}

// ways runs a call whole and, where cut says so, in slices.
func ways(t testing.TB, rig *fnrig.Rig, params string, cut bool, src string) map[string]string {
	t.Helper()
	f := Transcode(rig.FFmpeg)
	outs := map[string]string{"whole": run(t, rig, f, params, nil, src)}
	if cut {
		outs["sliced"] = sliced(t, rig, f, params, src)
	}
	return outs
}

// longer is long enough to be cut in two.
func longer(t testing.TB) string {
	t.Helper()
	return fnrig.Shared(t, "longer.mp4", "-f", "lavfi", "-i", "testsrc2=s=160x90:r=25:d=2.4", "-f", "lavfi", "-i", "sine=r=44100:d=2.4",
		"-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p", "-g", "10", "-c:a", "aac")
}

// clicks is a source whose pictures and sound both mark every half second: the
// picture turns white, the sound clicks.
func clicks(t testing.TB, name string, more ...string) string {
	t.Helper()
	return fnrig.Shared(t, name, append([]string{"-f", "lavfi", "-i", "color=black:s=96x64:r=25:d=4,drawbox=w=96:h=64:t=fill:color=white:enable='gte(t,2)'", "-f", "lavfi", "-i",
		"aevalsrc='if(between(t,2,2.02),0.8*sin(2*PI*1000*t),0)':s=48000:d=4", "-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p", "-g", "25", "-c:a", "aac", "-b:a", "128k"}, more...)...)
}

// TestTrim: start and end give the frames between them, and the sound stays
// with the pictures to the millisecond.
func TestTrim(t *testing.T) {
	t.Parallel()
	rig := fnrig.New(t)
	f := Transcode(rig.FFmpeg)
	for _, file := range []string{"in.mp4", "in.mkv", "in.ts"} {
		src := clicks(t, file)
		info, err := rig.Probe(t, src)
		if err != nil {
			t.Fatal(err)
		}
		at, white := times(t, src), flash(t, src)
		apart := onset(t, src) - white
		for _, params := range []string{`{"start":1}`, `{"start":0.5,"end":3}`, `{"end":2.52}`, `{"start":1.24,"end":2.4,"format":"webm"}`, `{"start":1,"end":3,"fps":"50"}`,
			`{"start":1.01,"end":3.01,"fps":"50","format":"mkv"}`, `{"start":1,"audio_codec":"copy"}`, `{"start":1,"format":"mkv","audio_codec":"opus"}`,
			`{"start":3.5,"end":3.9,"format":"mov","audio_codec":"pcm"}`} {
			if file != "in.mp4" && !strings.Contains(params, "1.01") && !strings.Contains(params, "copy") && params != `{"start":0.5,"end":3}` {
				continue // how it is entered is the container's, the rest is not
			}
			p := struct {
				Start, End float64
				FPS        string
			}{End: 1000}
			if err := json.Unmarshal([]byte(params), &p); err != nil {
				t.Fatal(err)
			}
			out := run(t, rig, f, strings.Replace(params, "{", `{"preset":"ultrafast",`, 1), nil, src)
			var want []float64
			for _, x := range at {
				if x -= info.StartTime; x >= p.Start-1e-6 && x < p.End-1e-6 {
					want = append(want, x-p.Start)
				}
			}
			got, grid := times(t, out), 0.001
			if p.FPS != "" {
				want, grid = nil, 0.0101 // a picture moves to the new rate's grid
				for i := range 100 {
					want = append(want, float64(i)/50)
				}
			}
			if len(got) != len(want) {
				t.Errorf("%s %s: %d frames, want %d", file, params, len(got), len(want))
				continue
			}
			for i := range got {
				if !near(got[i], want[i], 0.0011) {
					t.Errorf("%s %s: frame %d at %.4f s, want %.4f", file, params, i, got[i], want[i])
					break
				}
			}
			if p.Start > 2 {
				continue
			}
			if got := flash(t, out); !near(got, white-info.StartTime-p.Start, grid) {
				t.Errorf("%s %s: flash at %.4f s, want %.4f", file, params, got, white-info.StartTime-p.Start)
			}
			if got := onset(t, out) - flash(t, out); !near(got, apart, grid) {
				t.Errorf("%s %s: the click is %.4f s behind the flash, in the source %.4f s", file, params, got, apart)
			}
		}
	}
}

// TestRates: another frame rate gives the same frames sliced and whole.
func TestRates(t *testing.T) {
	t.Parallel()
	rig := fnrig.New(t)
	for _, c := range []struct{ from, to string }{{"24", "30"}, {"60", "30"}, {"30000/1001", "25"}, {"25", "23.976"}, {"30000/1001", "30000/1001"}} {
		t.Run(strings.ReplaceAll(c.from+" to "+c.to, "/", ":"), func(t *testing.T) {
			t.Parallel()
			src := fnrig.Shared(t, "in.mp4", "-f", "lavfi", "-i", "testsrc2=s=96x64:r="+c.from+":d=4", "-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p", "-g", "10", "-output_ts_offset", "0.4")
			params := `{"preset":"ultrafast","crf":0,"fps":"` + c.to + `"}`
			whole := run(t, rig, Transcode(rig.FFmpeg), params, nil, src)
			if plan, _ := planned(t, rig, Transcode(rig.FFmpeg), params, src); !plan.Sliced {
				if plan.Code != "frame_rate" {
					t.Error(plan.Reason)
				}
				return
			}
			alike(t, params, whole, sliced(t, rig, Transcode(rig.FFmpeg), params, src))
		})
	}
}

// TestSources: what a file may be like.
func TestSources(t *testing.T) {
	t.Parallel()
	rig := fnrig.New(t)
	f := Transcode(rig.FFmpeg)
	picture := []string{"-f", "lavfi", "-i", "testsrc2=s=96x64:r=25:d=1", "-f", "lavfi", "-i", "sine=r=48000:d=1", "-pix_fmt", "yuv420p"}
	for _, c := range []struct {
		name, file, args, params string
		frames                   int
	}{
		{"ts", "in.ts", "-c:v libx264 -preset ultrafast -bf 2 -c:a aac", `{}`, 25},
		{"ts mpeg2", "in.ts", "-c:v mpeg2video -c:a mp2", `{"format":"mkv"}`, 25},
		{"ts hevc ac3", "in.ts", "-c:v libx265 -preset ultrafast -x265-params log-level=error -c:a ac3", `{"audio_codec":"copy"}`, 25},
		{"flv", "in.flv", "-c:v libx264 -preset ultrafast -c:a aac -ar 44100", `{}`, 25},
		{"avi", "in.avi", "-c:v mpeg4 -bf 0 -c:a mp3", `{}`, 25},
		{"avi mjpeg pcm", "in.avi", "-c:v mjpeg -pix_fmt yuvj420p -c:a pcm_s16le", `{"format":"mkv"}`, 25},
		{"webm vp9", "in.webm", "-c:v libvpx-vp9 -deadline realtime -cpu-used 8 -c:a libopus", `{}`, 25},
		{"webm vp8 vorbis", "in.webm", "-c:v libvpx -deadline realtime -cpu-used 8 -c:a libvorbis", `{"format":"webm","audio_codec":"copy"}`, 25},
		{"prores", "in.mov", "-c:v prores_ks -profile:v 2 -pix_fmt yuv422p10le -c:a pcm_s24le", `{}`, 25},
		{"prores 4444 alpha", "in.mov", "-c:v prores_ks -profile:v 4 -pix_fmt yuva444p10le -c:a pcm_s16le", `{"codec":"h265","pixel_format":"yuv444p"}`, 25},
		{"av1", "in.mp4", "-c:v libsvtav1 -preset 12 -c:a aac", `{}`, 25},
		{"ffv1 rgb", "in.mkv", "-c:v ffv1 -pix_fmt bgr0 -c:a flac", `{"pixel_format":"yuv444p"}`, 25},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			src := fnrig.Generate(t, c.file, append(slices.Clone(picture), strings.Fields(c.args)...)...)
			a, v := heard(t, src), times(t, src)
			out := run(t, rig, f, strings.Replace(strings.Replace(c.params, "{", `{"preset":"ultrafast",`, 1), ",}", "}", 1), nil, src)
			at := times(t, out)
			info, err := rig.Probe(t, out)
			if err != nil || len(at) != c.frames || !near(at[len(at)-1]-at[0], v[len(v)-1]-v[0], 0.002) || len(info.Audio) != 1 || len(info.Video) != 1 {
				t.Fatalf("%d frames %v, %+v %v", len(at), at, info, err)
			}
			if plan, _ := planned(t, rig, f, `{}`, src); plan.Sliced || plan.Code == "" {
				t.Errorf("sliced: %v, %s", plan.Sliced, plan.Reason)
			}
			b := heard(t, out)
			if d := (b[0] - at[0]) - (a[0] - v[0]); d > 0.0011 || d < -0.05 { // priming may come in front
				t.Errorf("sound begins %.4f s from the pictures, in the source %.4f s", b[0]-at[0], a[0]-v[0])
			}
		})
	}
}

// TestTracks: what lies beside the pictures.
func TestTracks(t *testing.T) {
	t.Parallel()
	rig := fnrig.New(t)
	srt := write(t, "s.srt", "1\n00:00:01,000 --> 00:00:01,500\nHello\n\n")
	meta := write(t, "m.txt", ";FFMETADATA1\ntitle=A film\n[CHAPTER]\nTIMEBASE=1/1000\nSTART=0\nEND=1000\ntitle=One\n[CHAPTER]\nTIMEBASE=1/1000\nSTART=1000\nEND=2000\ntitle=Two\n")
	cover := fnrig.Shared(t, "cover.jpg", "-f", "lavfi", "-i", "color=red:s=32x32", "-frames:v", "1")
	flat := longer(t)
	full := fnrig.Generate(t, "full.mkv", "-i", flat, "-i", srt, "-i", meta, "-map", "0:v", "-map", "0:a", "-map", "0:a", "-map", "1", "-map_metadata", "2", "-c", "copy",
		"-metadata:s:a:0", "language=eng", "-metadata:s:a:1", "language=ger", "-attach", cover, "-metadata:s:t", "mimetype=image/jpeg")
	m4v := fnrig.Generate(t, "cover.mp4", "-i", cover, "-i", full, "-map", "0", "-map", "1:v:0", "-map", "1:a", "-map", "1:s", "-map_metadata", "1", "-c", "copy", "-c:s", "mov_text", "-disposition:v:0", "attached_pic")
	for _, src := range []string{full, m4v} {
		for _, c := range []struct {
			params   string
			subtitle string
			kept     bool
		}{
			{`{"subtitles":"keep"}`, "mov_text", true},
			{`{"subtitles":"keep","format":"mkv"}`, "subrip", true},
			{`{"subtitles":"keep","format":"webm"}`, "webvtt", true},
			{`{"metadata":"strip"}`, "", false},
			{`{"metadata":"strip","format":"mkv","subtitles":"keep"}`, "subrip", false},
		} {
			params := strings.Replace(c.params, "{", `{"preset":"ultrafast",`, 1)
			for what, out := range ways(t, rig, params, src == full && !strings.Contains(params, "webm"), src) {
				info, err := rig.Probe(t, out)
				if err != nil {
					t.Fatal(err)
				}
				name := fmt.Sprintf("%s, %s, %s", filepath.Base(src), c.params, what)
				got := ""
				for _, o := range info.Other {
					if o.Type == "subtitle" {
						got += o.Codec
					}
				}
				if got != c.subtitle && !(c.subtitle == "subrip" && got == "srt") {
					t.Errorf("%s: subtitles %q, want %q (%+v)", name, got, c.subtitle, info.Other)
				}
				if c.subtitle != "" {
					if text, want := subtitles(t, out), subtitles(t, src); text != want || !strings.Contains(text, "Hello") {
						t.Errorf("%s: subtitles read\n%s\nthe source's\n%s", name, text, want)
					}
				}
				if (info.Tags["title"] == "A film") != c.kept || (len(info.Chapters) == 2) != c.kept {
					t.Errorf("%s: tags %v, chapters %v", name, info.Tags, info.Chapters)
				}
				if len(info.Audio) != 2 || len(info.Video) != 1 || info.MainVideo().Width != 160 {
					t.Errorf("%s: %d sound and %d picture tracks", name, len(info.Audio), len(info.Video))
				} else if info.Audio[1].Language != "ger" && c.kept {
					t.Errorf("%s: language %q", name, info.Audio[1].Language)
				}
			}
		}
	}
}

func subtitles(t testing.TB, path string) string {
	t.Helper()
	return fnrig.Once("subtitles", path, func() string {
		return fnrig.Shell(t, "ffmpeg", "-v", "error", "-copyts", "-i", path, "-map", "0:s", "-avoid_negative_ts", "disabled", "-f", "srt", "-")
	})
}

// TestSoundCopied: sound that fits is copied, whole and sliced; what does not
// fit is refused before anything runs.
func TestSoundCopied(t *testing.T) {
	t.Parallel()
	rig := fnrig.New(t)
	f := Transcode(rig.FFmpeg)
	src := func(file, codec string) string {
		return fnrig.Shared(t, file, "-f", "lavfi", "-i", "color=black:s=96x64:r=25:d=2.4,drawbox=w=96:h=64:t=fill:color=white:enable='gte(t,1)'", "-f", "lavfi", "-i",
			"aevalsrc='if(between(t,1,1.02),0.8*sin(2*PI*1000*t),0)':s=48000:d=2.4", "-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p", "-g", "10", "-strict", "experimental", "-c:a", codec)
	}
	for _, c := range []struct{ codec, from, to, kind string }{
		{"aac", "in.mp4", "mkv", ""}, {"aac", "in.mkv", "mp4", ""}, {"aac", "in.mp4", "mov", ""},
		{"libopus", "in.mkv", "mp4", ""}, {"libopus", "in.mp4", "mkv", ""}, {"libopus", "in.mkv", "mkv", ""}, {"libopus", "in.mp4", "webm", ""},
		{"flac", "in.mkv", "mp4", ""}, {"pcm_s16le", "in.mov", "mkv", ""}, {"pcm_s24le", "in.mkv", "mov", ""}, {"ac3", "in.mkv", "mp4", ""},
		{"pcm_s16le", "in.mov", "mp4", "refused"}, {"libopus", "in.mkv", "mov", "refused"}, {"aac", "in.mp4", "webm", "refused"}, {"wavpack", "in.mkv", "mp4", "refused"},
		{"wavpack", "in.mkv", "mkv", "whole"},
	} {
		t.Run(c.codec+" "+c.from+" "+c.to, func(t *testing.T) {
			path := src(c.from, c.codec)
			params := `{"preset":"ultrafast","audio_codec":"copy","format":"` + c.to + `","codec":"` + map[bool]string{true: "vp9", false: "h264"}[c.to == "webm"] + `"}`
			if c.kind == "refused" {
				_, err := rig.Run(t, f, params, nil, path)
				if !errs.Is(err, errs.Unsupported) && !errs.Is(err, errs.Invalid) || errs.FieldOf(err) != "params.audio_codec" {
					t.Errorf("%v names %q", err, errs.FieldOf(err))
				}
				return
			}
			want := onset(t, path) - flash(t, path)
			outs := []string{run(t, rig, f, params, nil, path)}
			// In slices each codec, and no container twice with the same.
			if c.kind == "" && (c.codec != "aac" || c.to == "mkv") && (c.codec != "libopus" || c.to != "mkv") && c.codec != "ac3" && c.codec != "pcm_s24le" {
				outs = append(outs, sliced(t, rig, f, params, path))
			}
			if c.kind == "whole" {
				if plan, _ := planned(t, rig, f, params, path); plan.Sliced || plan.Code != "not_sliceable" {
					t.Errorf("%s %s", plan.Code, plan.Reason)
				}
			}
			for i, out := range outs {
				if got := onset(t, out) - flash(t, out); !near(got, want, 0.001) {
					t.Errorf("sliced %v: the click is %.4f s behind the flash, in the source %.4f s", i == 1, got, want)
				}
			}
		})
	}
}

// TestSoundMerged: encoded sound stays with the pictures through slices and
// merge, in every container, also where it is longer or shorter than them.
func TestSoundMerged(t *testing.T) {
	t.Parallel()
	rig := fnrig.New(t)
	for _, c := range []struct{ file, length, late string }{{"in.mp4", "4", "0"}, {"long.mp4", "5.3", "0"}, {"short.mkv", "2.6", "0"}, {"late.mp4", "3", "0.5"}} {
		src := fnrig.Shared(t, c.file, "-f", "lavfi", "-i", "color=black:s=96x64:r=25:d=4,drawbox=w=96:h=64:t=fill:color=white:enable='gte(t,2)'", "-itsoffset", c.late, "-f", "lavfi", "-i",
			"aevalsrc='if(between(t,1.5,1.52),0.8*sin(2*PI*1000*t),0)':s=48000:d="+c.length, "-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p", "-g", "25", "-c:a", "aac")
		want := onset(t, src) - flash(t, src)
		for _, params := range []string{`{}`, `{"format":"mkv","audio_codec":"opus"}`, `{"format":"mkv"}`, `{"format":"mov","audio_codec":"pcm"}`, `{"format":"webm"}`} {
			if c.length != "4" && !strings.Contains(params, "opus") {
				continue // told by one source
			}
			params = strings.Replace(strings.Replace(params, "{", `{"preset":"ultrafast",`, 1), ",}", "}", 1)
			for what, out := range ways(t, rig, params, c.length == "4" || strings.Contains(params, "opus"), src) {
				if got := onset(t, out) - flash(t, out); !near(got, want, 0.001) {
					t.Errorf("%s %s %s: the click is %.4f s from the flash, in the source %.4f s", c.file, params, what, got, want)
				}
				if n := len(times(t, out)); n != 100 {
					t.Errorf("%s %s %s: %d frames", c.file, params, what, n)
				}
			}
		}
	}
}

// TestFit: sizes, shapes and orientation, odd ones too.
func TestFit(t *testing.T) {
	t.Parallel()
	rig := fnrig.New(t)
	source := func(name, size, sar string) string {
		return fnrig.Shared(t, name, "-f", "lavfi", "-i", "testsrc2=s="+size+":r=25:d=2.4,setsar="+sar, "-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv444p", "-g", "10")
	}
	odd, wide := source("odd.mp4", "161x91", "1"), source("wide.mp4", "96x96", "4/3")
	turned := fnrig.Shared(t, "turned.mp4", "-i", wide, "-c", "copy", "-metadata:s:v:0", "rotate=90")
	for i, c := range []struct {
		src, params string
		w, h        int // displayed
	}{
		{odd, `{}`, 160, 90}, {odd, `{"width":81}`, 82, 46}, {odd, `{"width":100,"height":100,"fit":"cover"}`, 90, 90}, {odd, `{"width":100,"height":100,"fit":"cover","upscale":true}`, 100, 100},
		{odd, `{"width":121,"height":121,"fit":"pad"}`, 122, 122}, {odd, `{"width":50,"height":70,"fit":"stretch"}`, 50, 70},
		{wide, `{}`, 128, 96}, {wide, `{"height":48}`, 64, 48}, {wide, `{"width":64,"height":64,"fit":"pad"}`, 64, 64}, {wide, `{"width":64,"height":64,"fit":"cover"}`, 64, 64},
		{turned, `{}`, 72, 96}, {turned, `{"height":64}`, 48, 64}, {turned, `{"width":60,"height":60,"fit":"cover"}`, 60, 60}, {turned, `{"width":200,"height":200,"upscale":true,"bit_depth":10,"codec":"h265"}`, 150, 200},
	} {
		params := strings.Replace(strings.Replace(c.params, "{", `{"preset":"ultrafast",`, 1), ",}", "}", 1)
		for what, out := range ways(t, rig, params, i%5 == 1 || i == 10, c.src) {
			v := look(t, rig, out)
			if w, h := v.DisplaySize(); w != c.w && w != c.w+1 || h != c.h || v.Rotation != 0 {
				t.Errorf("%s %s %s: %dx%d, want %dx%d", filepath.Base(c.src), c.params, what, w, h, c.w, c.h)
			}
		}
	}
}

// TestSamples: chroma resolution and depth are what was asked for.
func TestSamples(t *testing.T) {
	t.Parallel()
	rig := fnrig.New(t)
	src := longer(t)
	for params, want := range map[string]string{
		`{"pixel_format":"yuv422p"}`:                                "yuv422p",
		`{"pixel_format":"yuv444p","bit_depth":10}`:                 "yuv444p10le",
		`{"bit_depth":10}`:                                          "yuv420p10le",
		`{"profile":"high10","bit_depth":10}`:                       "yuv420p10le",
		`{"codec":"h265","profile":"main10"}`:                       "yuv420p10le",
		`{"codec":"h265","pixel_format":"yuv422p","bit_depth":10}`:  "yuv422p10le",
		`{"codec":"vp9","format":"webm","bit_depth":10}`:            "yuv420p10le",
		`{"codec":"vp9","format":"webm","pixel_format":"yuv444p"}`:  "yuv444p",
		`{"codec":"av1","bit_depth":10,"profile":"main"}`:           "yuv420p10le",
		`{"profile":"high422","pixel_format":"yuv422p"}`:            "yuv422p",
		`{"profile":"baseline","level":"3.0","tune":"zerolatency"}`: "yuv420p",
	} {
		params = strings.Replace(params, "{", `{"preset":"ultrafast",`, 1)
		for what, out := range ways(t, rig, params, strings.Contains(params, "42") && strings.Contains(params, "bit_depth"), src) {
			if got := look(t, rig, out).PixelFormat; got != want {
				t.Errorf("%s %s: %s, want %s", params, what, got, want)
			}
		}
	}
}
