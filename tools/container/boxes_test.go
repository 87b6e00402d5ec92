package container

import (
	"bytes"
	"encoding/binary"
	"math"
	"os"
	"path/filepath"
	"testing"

	"github.com/mediafn/mediafn/core/media"
)

// boxAt finds the box called kind among those in b[from:to], past skip bytes.
func boxAt(b []byte, from, to int, kind string) (start, end int) {
	for from+8 <= to {
		n := int(binary.BigEndian.Uint32(b[from:]))
		if n < 8 {
			break
		}
		if string(b[from+4:from+8]) == kind {
			return from, from + n
		}
		from += n
	}
	return 0, 0
}

// inject puts box at the end of the box that path leads to. The moov must lie
// behind the samples, whose offsets then stay true.
func inject(t *testing.T, file string, box []byte, path ...string) string {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var sizes []int
	from, to := 0, len(b)
	for _, kind := range path {
		start, end := boxAt(b, from, to, kind)
		if end == 0 {
			t.Fatalf("no %s in %v", kind, path)
		}
		sizes = append(sizes, start)
		from, to = start+8+map[string]int{"stsd": 8, "hvc1": 78, "meta": 4}[kind], end
	}
	for _, at := range sizes {
		binary.BigEndian.PutUint32(b[at:], binary.BigEndian.Uint32(b[at:])+uint32(len(box)))
	}
	return write(t, filepath.Base(file), bytes.Join([][]byte{b[:to], box, b[to:]}, nil))
}

func write(t *testing.T, name string, b []byte) string {
	t.Helper()
	out := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(out, b, 0o600); err != nil {
		t.Fatal(err)
	}
	return out
}

func box(kind string, body ...any) []byte {
	var b bytes.Buffer
	for _, v := range body {
		_ = binary.Write(&b, binary.BigEndian, v)
	}
	return append(append(binary.BigEndian.AppendUint32(nil, uint32(8+b.Len())), kind...), b.Bytes()...)
}

// HDR10 in boxes of the sample entry and in Matroska's elements, without any in
// the stream itself, as ffprobe reads it too.
func TestHDRBoxes(t *testing.T) {
	t.Parallel()
	plain := generate(t, "p.mp4", cat(lavfi("testsrc2=s=96x64:r=25:d=0.4"), []string{"-c:v", "libx265", "-preset", "ultrafast", "-pix_fmt", "yuv420p10le", "-tag:v", "hvc1",
		"-x265-params", "log-level=error:colorprim=bt2020:transfer=smpte2084:colormatrix=bt2020nc"})...)
	if h := read(t, plain, Options{}).Video[0].HDR; h != nil {
		t.Fatalf("nothing says so, but %+v", h)
	}
	entry := []string{"moov", "trak", "mdia", "minf", "stbl", "stsd", "hvc1"}
	boxed := inject(t, plain, box("mdcv", []uint16{13250, 34500, 7500, 3000, 34000, 16000, 15635, 16450}, uint32(10_000_000), uint32(50)), entry...)
	boxed = inject(t, boxed, box("clli", uint16(1000), uint16(400)), entry...)
	for _, path := range []string{boxed, generate(t, "m.mkv", "-i", boxed, "-c", "copy"), generate(t, "again.mp4", "-i", boxed, "-c", "copy", "-strict", "unofficial")} {
		v := read(t, path, Options{Keys: true}).Video[0]
		h := v.HDR
		if h == nil || h.Format != "hdr10" || h.Light == nil || *h.Light != (media.LightLevel{MaxCLL: 1000, MaxFALL: 400}) || h.MaxLum.Float() != 1000 || h.MinLum.Float() != 0.005 {
			t.Errorf("%s: %+v", path, h)
			continue
		}
		for _, d := range ffprobe(t, path).Streams[0]["side_data_list"].([]any) {
			m := d.(map[string]any)
			for key, got := range map[string]media.Rational{"red_x": h.Primaries[0].X, "green_y": h.Primaries[1].Y, "blue_x": h.Primaries[2].X, "white_point_y": h.White.Y,
				"max_luminance": h.MaxLum, "min_luminance": h.MinLum} {
				var want media.Rational
				if s, ok := m[key].(string); ok && (want.UnmarshalText([]byte(s)) != nil || math.Abs(want.Float()-got.Float()) > 1e-5) {
					t.Errorf("%s: %s = %v, ffprobe says %s", path, key, got, s)
				}
			}
		}
	}
}

func TestCoversAndAttachments(t *testing.T) {
	t.Parallel()
	png := generate(t, "c.png", "-f", "lavfi", "-i", "testsrc=s=48x32", "-frames:v", "1")
	jpg := generate(t, "c.jpg", "-f", "lavfi", "-i", "testsrc=s=50x40", "-frames:v", "1")
	film := generate(t, "f.mp4", cat(lavfi("testsrc2=s=96x64:r=25:d=0.4"), lavfi("sine=d=0.4"), []string{"-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p"})...)
	for codec, cover := range map[string]string{"png": png, "mjpeg": jpg} {
		i := read(t, generate(t, "c.mp4", "-i", film, "-i", cover, "-map", "0", "-map", "1", "-c", "copy", "-disposition:v:1", "attached_pic"), Options{Keys: true})
		if len(i.Video) != 2 || !i.Video[1].Attached || i.Video[1].Codec != codec || i.Video[1].Width != map[string]int{"png": 48, "mjpeg": 50}[codec] ||
			i.Video[1].Index != 2 || i.MainVideo().Codec != "h264" || i.Kind != media.Video {
			t.Errorf("%s: %+v", codec, i.Video)
		}
	}
	song := read(t, generate(t, "s.m4a", "-i", film, "-i", jpg, "-map", "0:a", "-map", "1", "-c", "copy", "-disposition:v:0", "attached_pic"), Options{})
	if song.Kind != media.Audio || song.MainVideo() != nil || len(song.Video) != 1 || !song.Video[0].Attached {
		t.Errorf("a song with a cover: %s %+v", song.Kind, song.Video)
	}
	font := write(t, "f.ttf", []byte("not really a font"))
	path := generate(t, "a.mkv", "-i", film, "-c", "copy", "-attach", jpg, "-metadata:s:t:0", "mimetype=image/jpeg", "-attach", font, "-metadata:s:t:1", "mimetype=application/x-truetype-font")
	i := read(t, path, Options{Keys: true})
	if len(i.Video) != 2 || !i.Video[1].Attached || i.Video[1].Codec != "mjpeg" || len(i.Other) != 1 || i.Other[0].Type != "attachment" || i.Other[0].Tags["filename"] != "f.ttf" {
		t.Errorf("%+v %+v", i.Video, i.Other)
	}
	for _, s := range ffprobe(t, path).Streams {
		if s["codec_type"] == "attachment" && int(num(s["index"])) != i.Other[0].Index {
			t.Errorf("index %d, ffprobe says %v", i.Other[0].Index, s["index"])
		}
	}
}

// Chapters that are listed in chpl only, and a language by its BCP 47 name.
func TestChplAndElng(t *testing.T) {
	t.Parallel()
	meta := write(t, "m.txt", []byte(";FFMETADATA1\n[CHAPTER]\nTIMEBASE=1/1000\nSTART=0\nEND=1000\ntitle=One\n[CHAPTER]\nTIMEBASE=1/1000\nSTART=1000\nEND=2000\ntitle=Zwei ü\n"))
	film := generate(t, "f.mp4", cat(lavfi(src25), []string{"-i", meta, "-map_metadata", "1", "-c:v", "libx264", "-preset", "ultrafast"})...)
	b, err := os.ReadFile(film)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Contains(b, []byte("chpl")) || !bytes.Contains(b, []byte("tref")) {
		t.Fatal("ffmpeg writes chapters in another way")
	}
	i := read(t, write(t, "chpl.mp4", bytes.ReplaceAll(b, []byte("tref"), []byte("free"))), Options{})
	if len(i.Chapters) != 2 || i.Chapters[1].Title != "Zwei ü" || i.Chapters[0].End != 1 || i.Chapters[1].Start != 1 || math.Abs(i.Chapters[1].End-2) > 0.01 {
		t.Errorf("%+v", i.Chapters)
	}
	song := generate(t, "s.mp4", cat(lavfi("sine=d=0.5"), []string{"-c:a", "aac", "-metadata:s:a:0", "language=por"})...)
	if l := read(t, song, Options{}).Audio[0].Language; l != "por" {
		t.Errorf("mdhd: %q", l)
	}
	if l := read(t, inject(t, song, box("elng", uint32(0), []byte("pt-BR\x00")), "moov", "trak", "mdia"), Options{}).Audio[0].Language; l != "pt-BR" {
		t.Errorf("elng: %q", l)
	}
}

// Interlaced H.264: Matroska and fiel say it; in MP4 only the pictures do, and
// what is not looked at is absent.
func TestFieldOrder(t *testing.T) {
	t.Parallel()
	for _, order := range []string{"tff", "bff"} {
		mkv := generate(t, "i.mkv", cat(lavfi("testsrc2=s=160x96:r=50:d=0.6"), []string{"-vf", "tinterlace=interleave_top,fieldorder=" + order, "-c:v", "libx264", "-preset", "ultrafast",
			"-pix_fmt", "yuv420p", "-flags", "+ildct+ilme"})...)
		want := ffprobe(t, mkv).Streams[0]["field_order"]
		if got := read(t, mkv, Options{}).Video[0].FieldOrder; got != want || got == "progressive" {
			t.Errorf("%s: field order %q, ffprobe says %v", order, got, want)
		}
		if got := read(t, generate(t, "i.mp4", "-i", mkv, "-c", "copy"), Options{Keys: true}).Video[0].FieldOrder; got != "" {
			t.Errorf("%s: field order %q in a file that does not say", order, got)
		}
	}
	p := generate(t, "p.mp4", cat(lavfi(src25), []string{"-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p"})...)
	if got := read(t, p, Options{}).Video[0].FieldOrder; got != "progressive" {
		t.Errorf("progressive: %q", got)
	}
}

// An edit may end while the last picture is shown, whatever the tables say of
// that picture's length.
func TestEditEndsInLastPicture(t *testing.T) {
	file := generate(t, "long.mp4", cat(lavfi("testsrc2=s=32x32:r=25:d=1"), []string{"-c:v", "libx264", "-g", "1", "-video_track_timescale", "25000"})...)
	b, _ := load(t, file)
	from, to := 0, len(b)
	for _, kind := range []string{"moov", "trak", "mdia", "minf", "stbl", "stts"} {
		start, end := boxAt(b, from, to, kind)
		from, to = start+8, end
	}
	// 25 pictures of 1,000 ticks become longer: the edit ends before the last does.
	if binary.BigEndian.Uint32(b[from+4:]) != 1 || binary.BigEndian.Uint32(b[from+12:]) != 1000 {
		t.Fatalf("stts %x", b[from:to])
	}
	binary.BigEndian.PutUint32(b[from+12:], 1030)
	v := read(t, write(t, "longer.mp4", b), Options{Keys: true}).MainVideo()
	if v.Frames != 25 || v.Timing.EditList || v.Timing.LastDur != 25_000-24*1030 || v.Duration != 1 {
		t.Errorf("%d frames, %+v, %g s", v.Frames, v.Timing, v.Duration)
	}
}
