package video

import (
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/mediafn/mediafn/core/errs"
	"github.com/mediafn/mediafn/core/media"
	"github.com/mediafn/mediafn/functions/internal/fnrig"
)

const master = "master-display=G(13250,34500)B(7500,3000)R(34000,16000)WP(15635,16450)L(10000000,50):max-cll=1000,400"

// hdr is two seconds of 10-bit BT.2020 with the transfer given.
func hdr(t testing.TB, name, transfer, params string) string {
	t.Helper()
	return fnrig.Shared(t, name, "-f", "lavfi", "-i", "testsrc2=s=128x96:r=25:d=2",
		"-vf", "format=gbrpf32le,zscale=tin=709:pin=709:min=gbr:rin=pc:t=linear:npl=100:p=709:m=gbr,zscale=p=2020:t="+transfer+":m=2020_ncl:r=tv:npl=100,format=yuv420p10le",
		"-c:v", "libx265", "-preset", "ultrafast", "-x265-params", "log-level=error:keyint=25:repeat-headers=1:"+params,
		"-color_range", "tv", "-color_primaries", "bt2020", "-color_trc", transfer, "-colorspace", "bt2020nc")
}

// TestHDRKept: HDR10 and HLG come through h265 and av1, whole and sliced, in
// tags, values and metadata.
func TestHDRKept(t *testing.T) {
	t.Parallel()
	rig := fnrig.New(t)
	f := Transcode(rig.FFmpeg)
	for _, c := range []struct{ name, file, transfer, x265, params string }{
		{"hdr10 mp4", "in.mp4", "smpte2084", "hdr10=1:" + master, `{"codec":"h265"}`},
		{"hdr10 mkv", "in.mkv", "smpte2084", "hdr10=1:" + master, `{"codec":"h265","format":"mkv"}`},
		{"hdr10 av1 mp4", "in.mp4", "smpte2084", "hdr10=1:" + master, `{"codec":"av1"}`},
		{"hdr10 av1 mkv", "in.mp4", "smpte2084", "hdr10=1:" + master, `{"codec":"av1","format":"mkv"}`},
		{"hlg", "in.mp4", "arib-std-b67", "", `{"codec":"h265","hdr":"keep"}`},
		{"hlg av1", "in.mkv", "arib-std-b67", "", `{"codec":"av1","format":"webm"}`},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			src := hdr(t, c.file, c.transfer, c.x265)
			params := strings.Replace(c.params, "{", `{"preset":"ultrafast","crf":10,`, 1)
			want := look(t, rig, src)
			if c.transfer == "smpte2084" && (want.HDR == nil || want.HDR.Light == nil) {
				t.Fatalf("the source's HDR data is not seen: %+v", want.HDR)
			}
			for what, out := range map[string]string{"whole": run(t, rig, f, params, nil, src), "sliced": sliced(t, rig, f, params, src)} {
				got := look(t, rig, out)
				if got.BitDepth != 10 || got.Color.Transfer != c.transfer || got.Color.Primaries != "bt2020" || got.Color.Matrix != "bt2020nc" {
					t.Errorf("%s: %d bits, %+v", what, got.BitDepth, got.Color)
				}
				if a, b := describe(want.HDR), describe(got.HDR); a != b {
					t.Errorf("%s: HDR data %s, source %s", what, b, a)
				}
				if d := distance(t, src, out, "null"); d > 2 {
					t.Errorf("%s: pictures differ by %.2f levels", what, d)
				}
			}
		})
	}
}

func look(t testing.TB, rig *fnrig.Rig, path string) *media.VideoStream {
	t.Helper()
	return fnrig.Once("look", path, func() *media.VideoStream {
		info, err := rig.Probe(t, path)
		if err != nil {
			t.Fatal(err)
		}
		return info.MainVideo()
	})
}

func describe(h *media.HDR) string {
	if h == nil || !h.MaxLum.Known() {
		return "none"
	}
	s := ""
	for _, c := range []media.Chroma{h.Primaries[0], h.Primaries[1], h.Primaries[2], h.White} {
		s += fmt.Sprintf("%.3f,%.3f ", c.X.Float(), c.Y.Float())
	}
	return s + fmt.Sprintf("%.3f–%.0f %+v", h.MinLum.Float(), h.MaxLum.Float(), *h.Light)
}

// distance is the mean difference, in 8-bit levels of R, G and B, of a file
// behind a filter that makes it what the other should be, and the other. The
// second's colours are taken as tagged.
func distance(t testing.TB, src, out, filter string) float64 {
	t.Helper()
	rgb := func(path, filter string) []byte {
		return fnrig.Once("rgb "+filter, path, func() []byte {
			return []byte(fnrig.Shell(t, "ffmpeg", "-v", "error", "-i", path, "-vf", filter+",zscale=m=gbr:r=pc,format=gbrp", "-frames:v", "12", "-vsync", "passthrough", "-f", "rawvideo", "-"))
		})
	}
	a, b := rgb(src, filter), rgb(out, "null")
	if len(a) != len(b) || len(a) == 0 {
		t.Fatalf("%d and %d bytes of pictures", len(a), len(b))
	}
	sum := 0.0
	for i := range a {
		sum += math.Abs(float64(a[i]) - float64(b[i]))
	}
	return sum / float64(len(a))
}

// TestHDRToneMapped: as BT.709 the picture is about as bright as the SDR one
// it was made of, and carries no HDR data.
func TestHDRToneMapped(t *testing.T) {
	t.Parallel()
	rig := fnrig.New(t)
	f := Transcode(rig.FFmpeg)
	sdr := mean(t, fnrig.Shared(t, "sdr.mp4", "-f", "lavfi", "-i", "testsrc2=s=128x96:r=25:d=2", "-pix_fmt", "yuv420p", "-c:v", "libx264", "-preset", "ultrafast"))
	for _, c := range []struct{ name, transfer, x265, params string }{
		{"pq", "smpte2084", "hdr10=1:" + master, `{}`},
		{"pq without data", "smpte2084", "", `{"width":64}`},
		{"pq to 8 bit h265", "smpte2084", "hdr10=1:" + master, `{"codec":"h265","bit_depth":8}`},
		{"pq to vp9", "smpte2084", "hdr10=1:" + master, `{"format":"webm"}`},
		{"pq asked", "smpte2084", "hdr10=1:" + master, `{"codec":"h265","hdr":"tonemap"}`},
		{"hlg", "arib-std-b67", "", `{}`},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			src := hdr(t, "in.mkv", c.transfer, c.x265)
			params := strings.Replace(strings.Replace(c.params, "{", `{"preset":"ultrafast","crf":10,`, 1), ",}", "}", 1)
			whole := run(t, rig, f, params, nil, src)
			got := look(t, rig, whole)
			if got.Color.Transfer != "bt709" || got.Color.Primaries != "bt709" || got.Color.Matrix != "bt709" || got.BitDepth != 8 || got.HDR != nil {
				t.Errorf("%d bits, %+v, %+v", got.BitDepth, got.Color, got.HDR)
			}
			if m := mean(t, whole); m < sdr*0.5 || m > sdr*1.3 {
				t.Errorf("mean luma %.1f, of the original %.1f", m, sdr)
			}
			if c.params != `{}` {
				return
			}
			if m, w := mean(t, sliced(t, rig, f, params, src)), mean(t, whole); !near(m, w, 0.5) {
				t.Errorf("mean luma %.2f sliced, %.2f whole", m, w)
			}
		})
	}
}

func TestHDRRefused(t *testing.T) {
	t.Parallel()
	rig := fnrig.New(t)
	src := hdr(t, "in.mp4", "smpte2084", master)
	for _, params := range []string{`{"hdr":"refuse"}`, `{"hdr":"keep"}`, `{"hdr":"keep","codec":"h265","bit_depth":8}`, `{"hdr":"keep","format":"webm"}`} {
		_, err := rig.Run(t, Transcode(rig.FFmpeg), params, nil, src)
		if !errs.Is(err, errs.Unsupported) || errs.FieldOf(err) != "params.hdr" {
			t.Errorf("%s: %v", params, err)
		}
	}
}

// mean is the mean luma of a file, in levels of 8 bits.
func mean(t testing.TB, path string) float64 {
	t.Helper()
	return fnrig.Once("mean", path, func() (sum float64) {
		raw := []byte(fnrig.Shell(t, "ffmpeg", "-v", "error", "-i", path, "-vf", "scale=16:16:flags=area,format=gray", "-f", "rawvideo", "-"))
		for _, b := range raw {
			sum += float64(b) / float64(len(raw))
		}
		return sum
	})
}

// TestColourConverted holds color=bt709 against zscale's own conversion.
func TestColourConverted(t *testing.T) {
	t.Parallel()
	rig := fnrig.New(t)
	for _, c := range []struct{ tags, pixels, from string }{
		{"smpte170m smpte170m smpte170m", "yuv420p", "pin=170m:tin=601:min=170m"},
		{"bt470bg bt709 bt470bg", "yuv420p", "pin=bt470bg:tin=709:min=470bg"},
		{"bt2020 bt2020-10 bt2020nc", "yuv420p10le", "pin=2020:tin=2020_10:min=2020_ncl"},
	} {
		tag := strings.Fields(c.tags)
		src := fnrig.Shared(t, "in.mkv", "-f", "lavfi", "-i", "testsrc2=s=128x96:r=25:d=2", "-vf", "format="+c.pixels, "-c:v", "libx264", "-preset", "ultrafast", "-crf", "1", "-g", "25",
			"-color_range", "tv", "-color_primaries", tag[0], "-color_trc", tag[1], "-colorspace", tag[2])
		out := run(t, rig, Transcode(rig.FFmpeg), `{"preset":"ultrafast","crf":1,"color":"bt709"}`, nil, src)
		if got := look(t, rig, out).Color; got.Primaries != "bt709" || got.Transfer != "bt709" || got.Matrix != "bt709" {
			t.Errorf("%s: tagged %+v", c.tags, got)
		}
		if d := distance(t, src, out, "zscale="+c.from+":rin=tv:p=709:t=709:m=709:r=tv,format=yuv420p"); d > 2 {
			t.Errorf("%s: %.2f levels from the reference", c.tags, d)
		}
		sliced(t, rig, Transcode(rig.FFmpeg), `{"preset":"ultrafast","color":"bt709"}`, src)
	}
}
