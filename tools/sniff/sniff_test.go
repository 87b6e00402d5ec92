package sniff

import (
	"bytes"
	"encoding/binary"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/mediafn/mediafn/core/errs"
	"github.com/mediafn/mediafn/core/media"
)

// generate runs ffmpeg on a small test picture and a tone.
func generate(t *testing.T, name string, args ...string) string {
	t.Helper()
	out := filepath.Join(t.TempDir(), name)
	argv := append([]string{"-v", "error", "-f", "lavfi", "-i", "testsrc2=s=96x64:r=10:d=1", "-f", "lavfi", "-i", "sine=d=1:r=8000"}, args...)
	if b, err := exec.Command("ffmpeg", append(argv, out)...).CombinedOutput(); err != nil {
		t.Fatalf("ffmpeg %v: %v\n%s", args, err, b)
	}
	return out
}

func head(t *testing.T, path string) ([]byte, int64) {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return b[:min(len(b), HeadSize)], int64(len(b))
}

func TestFormatsFFmpegWrites(t *testing.T) {
	v, a := []string{"-map", "0:v"}, []string{"-map", "1:a"}
	add := func(base []string, more ...string) []string { return append(append([]string{}, base...), more...) }
	cases := []struct {
		file, want string
		kind       media.Kind
		args       []string
	}{
		{"a.mp4", "mp4", media.Video, v}, {"a.mov", "mov", media.Video, v}, {"a.m4a", "m4a", media.Audio, a},
		{"a.3gp", "3gp", media.Video, add(v, "-c:v", "mpeg4")},
		{"f.mp4", "mp4", media.Video, add(v, "-movflags", "frag_keyframe+empty_moov")},
		{"a.mkv", "matroska", media.Video, v}, {"a.webm", "webm", media.Video, add(v, "-c:v", "libvpx")},
		{"a.ts", "mpegts", media.Video, v}, {"b.ts", "mpegts", media.Video, add(v, "-mpegts_m2ts_mode", "1")},
		{"a.flv", "flv", media.Video, v}, {"a.avi", "avi", media.Video, v},
		{"a.mpg", "mpegps", media.Video, add(v, "-r", "25")}, {"a.wmv", "asf", media.Video, v},
		{"a.y4m", "y4m", media.Video, v}, {"a.ivf", "ivf", media.Video, add(v, "-c:v", "libvpx")},
		{"a.ogg", "ogg", media.Audio, add(a, "-c:a", "libopus")}, {"a.ogv", "ogg", media.Video, add(v, "-c:v", "libtheora")},
		{"a.wav", "wav", media.Audio, a}, {"a.mp3", "mp3", media.Audio, a},
		{"b.mp3", "mp3", media.Audio, add(a, "-id3v2_version", "0", "-write_xing", "0")},
		{"a.aac", "adts", media.Audio, a}, {"a.flac", "flac", media.Audio, a}, {"a.aiff", "aiff", media.Audio, a},
		{"a.jpg", "jpeg", media.Image, add(v, "-frames:v", "1")}, {"a.png", "png", media.Image, add(v, "-frames:v", "1")},
		{"a.apng", "png", media.Image, v}, {"a.gif", "gif", media.Image, v},
		{"a.webp", "webp", media.Image, add(v, "-frames:v", "1")}, {"b.webp", "webp", media.Image, add(v, "-c:v", "libwebp_anim")},
		{"l.webp", "webp", media.Image, add(v, "-frames:v", "1", "-lossless", "1")},
		{"a.bmp", "bmp", media.Image, add(v, "-frames:v", "1")}, {"a.tiff", "tiff", media.Image, add(v, "-frames:v", "1")},
		{"a.avif", "avif", media.Image, add(v, "-frames:v", "1", "-c:v", "libaom-av1", "-cpu-used", "8")},
	}
	for _, c := range cases {
		t.Run(c.file, func(t *testing.T) {
			path := generate(t, c.file, c.args...)
			h, size := head(t, path)
			f, err := Sniff(h, size)
			if err != nil || f.Name != c.want || f.Kind != c.kind {
				t.Fatalf("Sniff = %+v, %v; want %s, a kind of %s", f, err, c.want, c.kind)
			}
			wantAnimated := c.file == "a.apng" || c.file == "a.gif" || c.file == "b.webp"
			if f.Animated != wantAnimated {
				t.Errorf("Animated = %v", f.Animated)
			}
			if f.Kind != media.Image {
				// The demuxer named must exist and read the file when it is forced.
				if b, err := exec.Command("ffprobe", "-v", "error", "-f", f.Demuxer, path).CombinedOutput(); err != nil {
					t.Errorf("ffprobe -f %s: %v %s", f.Demuxer, err, b)
				}
				return
			}
			file, err := os.Open(path)
			if err != nil {
				t.Fatal(err)
			}
			defer file.Close()
			if err := CheckImageHeader(file, size, f, 96*64); err != nil {
				t.Errorf("exactly at the limit: %v", err)
			}
			if err := CheckImageHeader(file, size, f, 96*64-1); !errs.Is(err, errs.TooLarge) {
				t.Errorf("one pixel over the limit: %v", err)
			}
			if err := CheckImageHeader(bytes.NewReader(h[:10]), 10, f, 96*64); !errs.Is(err, errs.Invalid) {
				t.Errorf("truncated: %v", err)
			}
		})
	}
}

func TestRefused(t *testing.T) {
	cases := []struct {
		name, body string
		kind       errs.Kind
		msg        string
	}{
		{"empty", "", errs.Invalid, "file is empty"},
		{"hls", "#EXTM3U\n#EXT-X-VERSION:3\nhttp://127.0.0.1/a.ts\n", errs.Unsupported, "playlist"},
		{"hls after blank and BOM", "\xef\xbb\xbf \n#EXTM3U\n", errs.Unsupported, "playlist"},
		{"hls in utf-16", "\xff\xfe#\x00E\x00X\x00T\x00M\x003\x00U\x00\n\x00", errs.Unsupported, "playlist"},
		{"concat", "ffconcat version 1.0\nfile /etc/passwd\n", errs.Unsupported, "playlist"},
		{"concat without header", "file '/etc/passwd'\n", errs.Unsupported, "playlist"},
		{"sdp", "v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\n", errs.Unsupported, "playlist"},
		{"pls", "[playlist]\nFile1=http://x\n", errs.Unsupported, "playlist"},
		{"dash", "<?xml version=\"1.0\"?><!-- x --><MPD xmlns=\"a\">", errs.Unsupported, "playlist"},
		{"text", "hello world, this is a letter", errs.Invalid, "text"},
		{"html", "<!DOCTYPE html><html></html>", errs.Invalid, "text"},
		{"short", "\x00\x01\x02", errs.Invalid, "too short"},
		{"noise", strings.Repeat("\x01\x80\x02", 100), errs.Unsupported, "not a media format"},
		{"zip", "PK\x03\x04" + strings.Repeat("\x00", 60), errs.Unsupported, "not a media format"},
	}
	for _, c := range cases {
		_, err := Sniff([]byte(c.body), int64(len(c.body)))
		if !errs.Is(err, c.kind) || !strings.Contains(err.Error(), c.msg) {
			t.Errorf("%s: %v", c.name, err)
		}
	}
}

func TestHandMadeHeads(t *testing.T) {
	for name, h := range map[string]string{
		"svg":  "<?xml version=\"1.0\"?>\n<!DOCTYPE svg [<!ENTITY a \"b\">]>\n<svg width=\"1\"/>",
		"amr":  "#!AMR\n" + "\x3c\x00\x00",
		"heif": "\x00\x00\x00\x18ftypheic\x00\x00\x00\x00mif1heic",
		"mov":  "\x00\x00\x00\x08wide\x00\x00\x10\x00mdat",
		"asf":  "\x30\x26\xb2\x75\x8e\x66\xcf\x11\xa6\xd9\x00\xaa\x00\x62\xce\x6c",
	} {
		if f, err := Sniff([]byte(h), int64(len(h))); err != nil || f.Name != name {
			t.Errorf("%s: %+v, %v", name, f, err)
		}
	}
	if f, ok := FormatByName("mkv"); !ok || f.Name != "matroska" {
		t.Errorf("FormatByName(mkv) = %+v, %v", f, ok)
	}
	if _, ok := FormatByName("hls"); ok {
		t.Error("FormatByName knows a playlist")
	}
}

func TestHugeHeaders(t *testing.T) {
	png := []byte("\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR")
	png = binary.BigEndian.AppendUint32(png, 100_000)
	png = binary.BigEndian.AppendUint32(png, 100_000)
	gif := []byte("GIF89a\x01\x00\x01\x00\x00\x00\x00,\x00\x00\x00\x00\xff\xff\xff\xff\x00")
	webp := []byte("RIFF\x00\x00\x00\x00WEBPVP8X\x0a\x00\x00\x00\x00\x00\x00\x00\xff\xff\xff\xff\xff\xff")
	jpeg := []byte("\xff\xd8\xff\xe0\x00\x04ab\xff\xc0\x00\x11\x08\xff\xff\xff\xff\x03\x01\x01")
	for _, b := range [][]byte{png, gif, webp, jpeg} {
		f, err := Sniff(b, int64(len(b)))
		if err != nil {
			t.Fatal(err)
		}
		if err := CheckImageHeader(bytes.NewReader(b), int64(len(b)), f, 100e6); !errs.Is(err, errs.TooLarge) {
			t.Errorf("%s: %v", f.Name, err)
		}
	}
}

func FuzzSniff(f *testing.F) {
	for _, s := range []string{"", "#EXTM3U", "\x89PNG\r\n\x1a\n\x00\x00\x00\x0dIHDR", "GIF89a\x01\x00\x01\x00\x80\x00\x00,", "\xff\xd8\xff\xe0\x00\x10",
		"II*\x00\x08\x00\x00\x00\x01\x00", "MM\x00+\x00\x08", "RIFF\x00\x00\x00\x00WEBPVP8X", "\x00\x00\x00\x18ftypavif", "\x1aE\xdf\xa3\x42\x82\x84webm",
		"ID3\x03\x00\x00\x00\x00\x00\x00\xff\xfb\x90\x00", "<svg", "BM", "\xff\xfe<\x00"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		format, err := Sniff(b, int64(len(b)))
		if err != nil {
			if k := errs.KindOf(err); k != errs.Invalid && k != errs.Unsupported {
				t.Fatalf("kind %s: %v", k, err)
			}
			return
		}
		if format.Name == "" || format.Mime == "" {
			t.Fatalf("nameless format %+v", format)
		}
		if err := CheckImageHeader(bytes.NewReader(b), int64(len(b)), format, 1e6); err != nil {
			if k := errs.KindOf(err); k != errs.Invalid && k != errs.TooLarge {
				t.Fatalf("kind %s: %v", k, err)
			}
		}
	})
}
