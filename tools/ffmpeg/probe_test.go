package ffmpeg

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/mediafn/mediafn/core/errs"
	"github.com/mediafn/mediafn/core/media"
)

func probe(t *testing.T, tool *Tool, path, demuxer string, opt ProbeOptions) *media.Info {
	t.Helper()
	info, err := tool.Probe(t.Context(), Input{Path: path, Demuxer: demuxer}, opt)
	if err != nil {
		t.Fatal(err, errs.TailOf(err))
	}
	return info
}

func TestProbeContainers(t *testing.T) {
	tool := newTool(t)
	for _, c := range []struct {
		name, demuxer, format string
		kind                  media.Kind
		args                  []string
		vcodec, acodec        string
	}{
		{"a.ts", "mpegts", "mpegts", media.Video, []string{"-c:v", "mpeg2video", "-c:a", "mp2"}, "mpeg2video", "mp2"},
		{"a.flv", "flv", "flv", media.Video, []string{"-c:v", "libx264", "-c:a", "aac"}, "h264", "aac"},
		{"a.avi", "avi", "avi", media.Video, []string{"-c:v", "mpeg4", "-c:a", "mp3"}, "mpeg4", "mp3"},
		{"a.mov", "mov", "mov", media.Video, []string{"-c:v", "libx264", "-c:a", "aac"}, "h264", "aac"},
		{"a.mkv", "matroska", "matroska", media.Video, []string{"-c:v", "libx264", "-c:a", "flac"}, "h264", "flac"},
		{"a.ogg", "ogg", "ogg", media.Audio, []string{"-vn", "-c:a", "libvorbis"}, "", "vorbis"},
		{"a.wav", "wav", "wav", media.Audio, []string{"-vn"}, "", "pcm_s16le"},
		{"a.mp3", "mp3", "mp3", media.Audio, []string{"-vn"}, "", "mp3"},
		{"a.aac", "aac", "adts", media.Audio, []string{"-vn"}, "", "aac"},
		{"a.flac", "flac", "flac", media.Audio, []string{"-vn"}, "", "flac"},
		{"a.gif", "gif", "gif", media.Image, []string{"-an", "-pix_fmt", "pal8"}, "gif", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			path := clip(t, c.name, c.args...)
			i := probe(t, tool, path, c.demuxer, ProbeOptions{Packets: true})
			st, err := os.Stat(path)
			if err != nil {
				t.Fatal(err)
			}
			if i.Kind != c.kind || i.Format != c.format || i.Size != st.Size() || math.Abs(i.Duration-2) > 0.2 || i.Mime == "" {
				t.Errorf("%+v", i)
			}
			if c.vcodec != "" {
				v := i.MainVideo()
				if v == nil || v.Codec != c.vcodec || v.Width != 160 || v.Height != 120 || v.Frames != 50 {
					t.Fatalf("video %+v", v)
				}
				if v.Timing != nil && (v.FrameRate != media.Rational{Num: 25, Den: 1} || v.VFR == nil || *v.VFR) {
					t.Errorf("rate %v, VFR %v", v.FrameRate, *v.VFR)
				}
				if c.vcodec != "gif" && v.GOP != nil && (v.GOP.Count != 5 || v.GOP.MinLen != 10 || v.GOP.MaxLen != 10 || len(v.GOP.Keys) != 5) {
					t.Errorf("GOP %+v", v.GOP)
				}
			}
			if c.acodec != "" {
				a := i.Audio[0]
				if a.Codec != c.acodec || a.SampleRate != 48000 || a.Channels != 1 {
					t.Errorf("audio %+v", a)
				}
			}
		})
	}
}

func TestProbeFrames(t *testing.T) {
	tool := newTool(t)
	path := clip(t, "a.mp4", "-c:v", "libx264", "-g", "12", "-x264-params", "open-gop=1:bframes=2:b-adapt=0:scenecut=0:keyint=12", "-metadata", "title=A: b", "-color_primaries", "bt709",
		"-color_trc", "bt709", "-colorspace", "bt709", "-color_range", "tv")
	i := probe(t, tool, path, "mov", ProbeOptions{Frames: true})
	v := i.MainVideo()
	if len(v.FrameList) != 50 || v.FrameList[0].Type != "I" || !v.FrameList[0].Key || v.FrameList[0].Size == 0 {
		t.Fatalf("%+v", v.FrameList)
	}
	types := map[string]int{}
	for _, f := range v.FrameList {
		types[f.Type]++
	}
	if types["B"] == 0 || types["P"] == 0 || types[""] != 0 {
		t.Errorf("types %v", types)
	}
	if v.BFrames == nil || !*v.BFrames || v.GOP.Closed == nil || *v.GOP.Closed {
		t.Errorf("B-frames and open GOPs not seen: %+v", v.GOP)
	}
	if d := cmp.Diff(media.Color{Range: "tv", Primaries: "bt709", Transfer: "bt709", Matrix: "bt709", ChromaLoc: "left"}, v.Color); d != "" {
		t.Error(d)
	}
	if i.Tags["title"] != "A: b" || v.Profile != "High" || v.Level != "1.1" || v.BitDepth != 8 || v.FieldOrder != "progressive" || v.Tag != "avc1" {
		t.Errorf("%+v", v)
	}
	if v.Timing.FirstPTS != 0 || v.Timing.LastPTS != 49*512 || v.Timing.LastDur != 512 {
		t.Errorf("%+v", v.Timing)
	}
}

func TestProbeVFR(t *testing.T) {
	tool := newTool(t)
	path := generate(t, "v.mkv", "-f", "lavfi", "-i", "testsrc=s=64x64:r=25:d=4", "-vf", "select='not(between(n,30,50))*not(mod(n,3))'", "-vsync", "passthrough", "-c:v", "libx264")
	v := probe(t, tool, path, "matroska", ProbeOptions{Packets: true}).MainVideo()
	if v.VFR == nil || !*v.VFR || v.FrameRate.Known() || v.Timing.Gaps != 1 {
		t.Errorf("%v %v %+v", *v.VFR, v.FrameRate, v.Timing)
	}
	path = generate(t, "c.mkv", "-f", "lavfi", "-i", "testsrc=s=64x64:r=60000/1001:d=3", "-c:v", "libx264")
	v = probe(t, tool, path, "matroska", ProbeOptions{Packets: true}).MainVideo()
	if v.VFR == nil || *v.VFR || (v.FrameRate != media.Rational{Num: 60000, Den: 1001}) {
		t.Errorf("%v %v", *v.VFR, v.FrameRate)
	}
}

func TestProbeHDR(t *testing.T) {
	tool := newTool(t)
	path := generate(t, "h.mp4", "-f", "lavfi", "-i", "testsrc=s=160x120:r=25:d=0.2", "-pix_fmt", "yuv420p10le", "-c:v", "libx265", "-tag:v", "hvc1",
		"-x265-params", "log-level=error:colorprim=bt2020:transfer=smpte2084:colormatrix=bt2020nc:hdr10=1:master-display=G(13250,34500)B(7500,3000)R(34000,16000)WP(15635,16450)L(10000000,50):max-cll=1000,400")
	v := probe(t, tool, path, "mov", ProbeOptions{}).MainVideo()
	if v.HDR == nil || v.HDR.Format != "hdr10" || v.HDR.Light == nil || *v.HDR.Light != (media.LightLevel{MaxCLL: 1000, MaxFALL: 400}) ||
		v.HDR.MaxLum.Float() != 1000 || v.HDR.MinLum.Float() != 0.005 || v.HDR.Primaries[1].Y.Float() != 0.69 || v.BitDepth != 10 {
		t.Errorf("%+v of %+v", v.HDR, v)
	}
}

func TestProbeChaptersAndOther(t *testing.T) {
	tool := newTool(t)
	meta := write(t, "meta", []byte(";FFMETADATA1\n[CHAPTER]\nTIMEBASE=1/1000\nSTART=0\nEND=500\ntitle=One\n[CHAPTER]\nTIMEBASE=1/1000\nSTART=500\nEND=2000\ntitle=Two\n"))
	subs := write(t, "s.srt", []byte("1\n00:00:00,000 --> 00:00:01,000\nhello\n"))
	path := generate(t, "c.mkv", "-f", "lavfi", "-i", "testsrc=s=64x64:d=2", "-i", meta, "-i", subs, "-map", "0", "-map", "2", "-map_metadata", "1",
		"-metadata:s:s:0", "language=fra", "-c:v", "libx264")
	i := probe(t, tool, path, "matroska", ProbeOptions{Format: "webm"})
	want := []media.Chapter{{Span: media.Span{Start: 0, End: 0.5}, Title: "One"}, {Span: media.Span{Start: 0.5, End: 2}, Title: "Two"}}
	if d := cmp.Diff(want, i.Chapters); d != "" {
		t.Error(d)
	}
	if len(i.Other) != 1 || i.Other[0].Type != "subtitle" || i.Other[0].Language != "fra" || i.Format != "webm" {
		t.Errorf("%+v", i)
	}
}

// TestOrientation writes all eight display matrices into a file and checks
// that turning by what we report shows what FFmpeg shows.
func TestOrientation(t *testing.T) {
	tool := newTool(t)
	path := generate(t, "o.mp4", "-f", "lavfi", "-i", "testsrc=s=64x48:d=0.04", "-c:v", "libx264", "-qp", "0", "-pix_fmt", "yuv444p")
	plain, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	matrix := func(a, b, c, d int32) []byte {
		var out []byte
		for _, v := range []int32{a, b, 0, c, d, 0} {
			out = binary.BigEndian.AppendUint32(out, uint32(v<<16))
		}
		return out
	}
	tkhd := bytes.Index(plain, []byte("tkhd"))
	at := tkhd + bytes.Index(plain[tkhd:], matrix(1, 0, 0, 1))
	shown := func(name string, args ...string) string {
		cmd := exec.Command("ffmpeg", append(append([]string{"-v", "error"}, args...), "-f", "framemd5", "-")...)
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatal(name, err, string(out))
		}
		lines := strings.Split(strings.TrimSpace(string(out)), "\n")
		return lines[len(lines)-1]
	}
	seen := map[string]bool{}
	for _, m := range [][4]int32{{1, 0, 0, 1}, {0, 1, -1, 0}, {-1, 0, 0, -1}, {0, -1, 1, 0}, {-1, 0, 0, 1}, {1, 0, 0, -1}, {0, 1, 1, 0}, {0, -1, -1, 0}} {
		b := bytes.Clone(plain)
		copy(b[at:], matrix(m[0], m[1], m[2], m[3]))
		turned := write(t, "t.mp4", b)
		v := probe(t, tool, turned, "mov", ProbeOptions{}).MainVideo()
		var filters []string
		if v.Flip {
			filters = append(filters, "hflip")
		}
		filters = append(filters, map[int]string{0: "null", 90: "transpose=clock", 180: "hflip,vflip", 270: "transpose=cclock"}[v.Rotation])
		want := shown("auto", "-i", turned)
		if got := shown("ours", "-noautorotate", "-i", turned, "-vf", strings.Join(filters, ",")); got != want {
			t.Errorf("matrix %v: rotation %d, flip %v gives %s, FFmpeg shows %s", m, v.Rotation, v.Flip, got, want)
		}
		seen[want] = true
	}
	if len(seen) != 8 {
		t.Errorf("%d different pictures", len(seen))
	}
}

func TestProbeOverHTTPAndErrors(t *testing.T) {
	tool := newTool(t)
	src := clip(t, "a.flv", "-c:v", "libx264", "-c:a", "aac")
	url, port := serve(t, func(w http.ResponseWriter, r *http.Request) { http.ServeFile(w, r, src) })
	i, err := tool.Probe(t.Context(), Input{URL: url, Demuxer: "flv"}, ProbeOptions{ConnectPorts: []uint16{port}})
	if err != nil || len(i.Video) != 1 {
		t.Errorf("%+v %v", i, err)
	}
	if _, err := tool.Probe(t.Context(), Input{URL: url, Demuxer: "flv"}, ProbeOptions{}); err == nil {
		t.Error("connected without a granted port")
	}
	noise := write(t, "n.mp4", []byte("no media at all"))
	if _, err := tool.Probe(t.Context(), Input{Path: noise, Demuxer: "mov"}, ProbeOptions{}); !errs.Is(err, errs.Invalid) {
		t.Errorf("noise: %v", err)
	}
	if _, err := tool.Probe(t.Context(), Input{Path: noise, Demuxer: "hls"}, ProbeOptions{}); !errs.Is(err, errs.Unsupported) {
		t.Errorf("playlist: %v", err)
	}
	if _, err := tool.Probe(t.Context(), Input{Path: "/no/such", Demuxer: "mov"}, ProbeOptions{}); !errs.Is(err, errs.NotFound) {
		t.Errorf("missing: %v", err)
	}
}

func FuzzParseAnswer(f *testing.F) {
	f.Add([]byte(`{"format":{"format_name":"mov","duration":"2.0"},"streams":[{"codec_type":"video","level":41,"codec_name":"h264","side_data_list":[{"side_data_type":"Display Matrix","displaymatrix":"\n0: 0 65536 0\n1: -65536 0 0\n","rotation":-90}]},{"codec_type":"audio","sample_rate":"48000","time_base":"1/48000","duration_ts":5}]}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		a, err := parseAnswer(b)
		if err != nil {
			return
		}
		i := a.info("")
		for _, v := range i.Video {
			if v.Rotation%90 != 0 || v.Rotation < 0 || v.Rotation > 270 {
				t.Errorf("rotation %d", v.Rotation)
			}
		}
	})
}

// A clock that starts over is no clock to slice by, nor one that leaps where ffmpeg
// closes the gap in a whole run.
func TestDiscontinuity(t *testing.T) {
	for _, c := range []struct {
		name, format string
		dts          []int64 // seconds
		want         bool
	}{
		{"steady", "mpegts", []int64{5, 6, 7}, false},
		{"a pause", "mpegts", []int64{5, 6, 16}, false},
		{"a leap", "mpegts", []int64{5, 6, 17}, true},
		{"a leap that stays", "matroska", []int64{5, 6, 17}, false},
		{"from the start again", "mpegts", []int64{5, 6, 1}, true},
		{"from the start again, elsewhere", "flv", []int64{5, 6, 1}, true},
	} {
		r := newRowReader()
		for _, at := range c.dts {
			fmt.Fprintf(r, "stream_index=0|pts=%d|dts=%d|duration=90000|size=9|pos=48|flags=K_\n", at*90000, at*90000)
		}
		i := &media.Info{Format: c.format, Video: []media.VideoStream{{TimeBase: media.Rational{Num: 1, Den: 90000}}}}
		r.apply(i, nil)
		if got := i.Video[0].Timing.Discontinue; got != c.want {
			t.Errorf("%s: %v", c.name, got)
		}
	}
}

func FuzzPackets(f *testing.F) {
	f.Add("stream_index=0|pts=0|dts=-1|duration=1|size=9|pos=48|flags=K_\nstream_index=0|pts=1|dts=0|flags=__|side_data_type=x\n", int64(1), int64(25))
	f.Fuzz(func(t *testing.T, s string, num, den int64) {
		r := newRowReader()
		_, _ = r.Write([]byte(s))
		_, _ = r.frames().Write([]byte(s))
		i := &media.Info{Video: []media.VideoStream{{TimeBase: media.Rational{Num: num, Den: den}}}, Audio: []media.AudioStream{{SampleRate: 1, TimeBase: media.Rational{Num: 1, Den: den}}}}
		r.apply(i, map[int]media.Rational{0: {Num: den, Den: num}})
		if v := i.Video[0]; v.GOP != nil && (v.GOP.MinLen < 0 || v.GOP.MaxLen < v.GOP.MinLen) {
			t.Errorf("%+v", v.GOP)
		}
	})
}
