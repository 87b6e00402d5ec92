package derive

import (
	"encoding/json"
	"math"
	"os/exec"
	"strconv"
	"strings"
	"testing"

	"github.com/mediafn/mediafn/core/errs"
	"github.com/mediafn/mediafn/core/media"
	"github.com/mediafn/mediafn/tools/ffmpeg"
)

func TestAudioPlan(t *testing.T) {
	info := &media.Info{Kind: media.Video, Format: "mp4", Duration: 60, Video: []media.VideoStream{{Index: 0}}, Audio: []media.AudioStream{
		{Index: 1, Codec: "aac", SampleRate: 44100, Channels: 2}, {Index: 2, Codec: "mp3", SampleRate: 48000, Channels: 1, StartTime: 1.5}}}
	for _, tc := range []struct {
		name, params string
		loud         *LoudnessFact
	}{
		{"aac", `{}`, nil},
		{"copy", `{"codec":"copy","track":1}`, nil},
		{"copy-offset", `{"codec":"copy","track":1,"keep_offset":true}`, nil},
		{"opus", `{"codec":"opus","bitrate":32000,"channels":1,"start":5,"end":9.5,"metadata":false}`, nil},
		{"offset", `{"codec":"mp3","track":1,"keep_offset":true}`, nil},
		{"linear", `{"codec":"pcm","sample_rate":16000,"loudness":-16}`, &LoudnessFact{Integrated: -20, TruePeak: -8, Gain: 4, Mode: "linear"}},
		{"limited", `{"codec":"flac","channels":1,"loudness":-16}`, &LoudnessFact{Integrated: -20, TruePeak: -3, Gain: 4, Mode: "limited"}},
	} {
		raw, err := Audio(nil).Check(json.RawMessage(tc.params), nil)
		if err != nil {
			t.Fatalf("%s: %v", tc.name, err)
		}
		var p audioParams
		if err := json.Unmarshal(raw, &p); err != nil {
			t.Fatal(err)
		}
		plan, err := planAudio(&p, info)
		if err != nil {
			t.Fatalf("%s: %v", tc.name, err)
		}
		in := ffmpeg.Input{Path: "/in", Demuxer: "mov"}
		args, err := encodeArgs(&p, info, plan, tc.loud, in, "/out/"+audioFiles[plan.Format].name)
		if err != nil {
			t.Fatal(err)
		}
		lines := []string{strings.Join(args, " ")}
		if tc.loud != nil {
			first, err := measureArgs(&p, info, plan, nil, in)
			if err != nil {
				t.Fatal(err)
			}
			lines = append([]string{strings.Join(first, " ")}, lines...)
		}
		golden(t, "audio-"+tc.name, lines)
	}
}

func TestAudioCheck(t *testing.T) {
	for params, field := range map[string]string{
		`{"start":3,"end":2}`:                                "params.end",
		`{"codec":"copy","loudness":-16}`:                    "params.loudness",
		`{"codec":"copy","bitrate":64000}`:                   "params.bitrate",
		`{"codec":"copy","format":"mp3","keep_offset":true}`: "params.keep_offset",
		`{"codec":"opus","format":"mp3"}`:                    "params.codec",
		`{"codec":"mp3","bitrate":400000}`:                   "params.bitrate",
		`{"codec":"flac","bitrate":64000}`:                   "params.bitrate",
		`{"codec":"opus","sample_rate":44100}`:               "params.sample_rate",
		`{"codec":"mp3","channels":6}`:                       "params.channels",
		`{"loudness":-80}`:                                   "params.loudness",
		`{"track":-1}`:                                       "params.track",
	} {
		if _, err := Audio(nil).Check(json.RawMessage(params), nil); !errs.Is(err, errs.Invalid) || errs.FieldOf(err) != field {
			t.Errorf("%s: %v names %q, want %q", params, err, errs.FieldOf(err), field)
		}
	}
}

func TestAudioCodecs(t *testing.T) {
	t.Parallel()
	ff := newTool(t)
	in := input(t, ticker(t, "a.mp4", "-t", "2"))
	for params, want := range map[string]string{
		`{}`:                                   "aac,44100,1",
		`{"codec":"mp3","channels":2}`:         "mp3,44100,2",
		`{"codec":"opus"}`:                     "opus,48000,1",
		`{"codec":"vorbis"}`:                   "vorbis,44100,1",
		`{"codec":"flac","sample_rate":22050}`: "flac,22050,1",
		`{"codec":"pcm","sample_rate":16000}`:  "pcm_s16le,16000,1",
		`{"codec":"alac"}`:                     "alac,44100,1",
		`{"codec":"ac3"}`:                      "ac3,44100,1",
		`{"codec":"copy"}`:                     "aac,44100,1",
		`{"codec":"copy","format":"adts"}`:     "aac,44100,1",
	} {
		a, err := run(t, Audio(ff), in, params)
		if err != nil {
			t.Errorf("%s: %v\n%s", params, err, errs.TailOf(err))
			continue
		}
		path := a.Outputs[0].Path
		if got := ask(t, path, "stream=codec_name,sample_rate,channels"); got != want {
			t.Errorf("%s: %s, want %s", params, got, want)
		}
		if d := heardSeconds(t, path); math.Abs(d-2) > 0.06 {
			t.Errorf("%s: %.3f s long", params, d)
		}
	}
}

// A track that starts late and ends early keeps its place, or is moved to 0.
func TestAudioOffset(t *testing.T) {
	t.Parallel()
	ff := newTool(t)
	path := generate(t, "late.mkv", "-f", "lavfi", "-i", "testsrc2=s=64x64:r=10:d=4", "-itsoffset", "1.5", "-f", "lavfi", "-i", "sine=r=48000:d=1", "-c:a", "pcm_s16le", "-c:v", "libx264", "-preset", "ultrafast")
	for _, tc := range []struct {
		params       string
		first, total float64
	}{
		{`{"codec":"pcm"}`, 0, 1},
		{`{"codec":"pcm","keep_offset":true}`, 1.5, 4},
		{`{"codec":"pcm","keep_offset":true,"start":1,"end":3.5}`, 0.5, 2.5},
		{`{"codec":"pcm","start":2,"end":2.25}`, 0, 0.25},
		{`{"codec":"aac","keep_offset":true}`, 1.5, 4},
	} {
		res, err := run(t, Audio(ff), input(t, path), tc.params)
		if err != nil {
			t.Fatalf("%s: %v\n%s", tc.params, err, errs.TailOf(err))
		}
		out := res.Outputs[0].Path
		if d := heardSeconds(t, out); math.Abs(d-tc.total) > 0.025 {
			t.Errorf("%s: %.3f s, want %.3f", tc.params, d, tc.total)
		}
		if f := firstSound(t, out); math.Abs(f-tc.first) > 0.01 {
			t.Errorf("%s: sound starts at %.4f, want %.4f", tc.params, f, tc.first)
		}
	}
}

func TestAudioLoudness(t *testing.T) {
	t.Parallel()
	ff := newTool(t)
	quiet := generate(t, "q.wav", "-f", "lavfi", "-i", "sine=f=440:r=48000:d=5", "-af", "volume=-12dB")
	peaky := generate(t, "p.wav", "-f", "lavfi", "-i", "aevalsrc=sin(440*2*PI*t)*if(lt(mod(t\\,1)\\,0.001)\\,0.6\\,0.04):s=48000:d=6")
	silent := generate(t, "s.wav", "-f", "lavfi", "-i", "anullsrc=r=48000:cl=mono", "-t", "2")
	for _, tc := range []struct{ path, mode string }{{quiet, "linear"}, {peaky, "limited"}, {silent, "silent"}} {
		res, err := run(t, Audio(ff), input(t, tc.path), `{"codec":"flac","loudness":-16}`)
		if err != nil {
			t.Fatalf("%s: %v\n%s", tc.mode, err, errs.TailOf(err))
		}
		var facts AudioFacts
		if err := json.Unmarshal(res.Facts, &facts); err != nil || facts.Loudness == nil || facts.Loudness.Mode != tc.mode {
			t.Fatalf("%s: %s %v", tc.mode, res.Facts, err)
		}
		if got := loudness(t, res.Outputs[0].Path); tc.mode != "silent" && math.Abs(got+16) > 0.5 {
			t.Errorf("%s: %v LUFS, want -16: %+v", tc.mode, got, facts.Loudness)
		}
		if got := ask(t, res.Outputs[0].Path, "stream=sample_rate"); got != "48000" {
			t.Errorf("%s: %s Hz", tc.mode, got)
		}
	}
}

func TestAudioRefuses(t *testing.T) {
	ff := newTool(t)
	mute := generate(t, "m.mp4", "-f", "lavfi", "-i", "testsrc2=s=64x64:d=1", "-c:v", "libx264")
	if _, err := run(t, Audio(ff), input(t, mute), `{}`); !errs.Is(err, errs.Invalid) || !strings.Contains(err.Error(), "has no sound") {
		t.Errorf("no sound: %v", err)
	}
	one := ticker(t, "a.mp4", "-t", "1")
	for params, field := range map[string]string{`{"track":3}`: "params.track", `{"start":10}`: "params.start",
		`{"codec":"copy","format":"mp3"}`: "params.format", `{"codec":"copy","format":"wav"}`: "params.format", `{"codec":"copy","format":"ogg"}`: "params.format"} {
		if _, err := run(t, Audio(ff), input(t, one), params); errs.FieldOf(err) != field {
			t.Errorf("%s: %v", params, err)
		}
	}
}

// The same call gives the same bytes.
func TestAudioExact(t *testing.T) {
	t.Parallel()
	ff := newTool(t)
	in := input(t, ticker(t, "a.mp4", "-t", "1"))
	for _, codec := range []string{"aac", "opus", "ac3"} {
		var sums []string
		for range 2 {
			res, err := run(t, Audio(ff), in, `{"codec":"`+codec+`"}`)
			if err != nil {
				t.Fatal(err)
			}
			out, err := exec.Command("sha256sum", res.Outputs[0].Path).Output()
			if err != nil {
				t.Fatal(err)
			}
			sums = append(sums, strings.Fields(string(out))[0])
		}
		if sums[0] != sums[1] {
			t.Errorf("%s: two runs differ", codec)
		}
	}
}

func ask(t testing.TB, path, entries string) string {
	t.Helper()
	out, err := exec.Command("ffprobe", "-v", "error", "-show_entries", entries, "-of", "csv=p=0", path).Output()
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(out))
}

// pcm decodes to 8 kHz mono samples, gaps filled from second 0 on.
func pcm(t testing.TB, path string) []int16 {
	t.Helper()
	out, err := exec.Command("ffmpeg", "-v", "error", "-i", path, "-af", "aresample=8000:async=1:first_pts=0", "-ac", "1", "-f", "s16le", "-").Output()
	if err != nil {
		t.Fatal(err)
	}
	s := make([]int16, len(out)/2)
	for i := range s {
		s[i] = int16(uint16(out[2*i]) | uint16(out[2*i+1])<<8)
	}
	return s
}

func heardSeconds(t testing.TB, path string) float64 { return float64(len(pcm(t, path))) / 8000 }

func firstSound(t testing.TB, path string) float64 {
	for i, s := range pcm(t, path) {
		if s > 300 || s < -300 {
			return float64(i) / 8000
		}
	}
	return -1
}

// loudness is the integrated loudness ffmpeg's own summary gives.
func loudness(t testing.TB, path string) float64 {
	t.Helper()
	out, err := exec.Command("ffmpeg", "-hide_banner", "-nostats", "-i", path, "-af", "ebur128", "-f", "null", "-").CombinedOutput()
	if err != nil {
		t.Fatal(err)
	}
	text := string(out)
	i := strings.LastIndex(text, "I:")
	f, err := strconv.ParseFloat(strings.Fields(text[i+2:])[0], 64)
	if err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	return f
}
