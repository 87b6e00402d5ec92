package rate

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/mediafn/mediafn/core/errs"
)

// slice is n pictures that take about bits each at a quantiser.
func slice(n int, bits, qp float64) Pass {
	p := Pass{Seconds: float64(n) / 25, FrameRate: 25}
	for i := range n {
		f := Frame{Type: "IPBB"[i%4], Scale: scaleOf(qp), Texture: bits * 0.8, Motion: bits * 0.15, Misc: bits * 0.05, Seconds: 0.04}
		if f.Type == 'I' {
			f.Intra = 1
		}
		p.Frames = append(p.Frames, f)
	}
	return p
}

func TestShare(t *testing.T) {
	// Alike at one quantiser: alike in bits.
	shares, floor, err := Share(1e6, []Pass{slice(100, 1000, 26), slice(100, 1000, 26)})
	if err != nil || math.Abs(shares[0]-shares[1]) > 5e3 || floor <= 0 || floor >= 1e6 {
		t.Errorf("two alike: %v, floor %v, %v", shares, floor, err)
	}
	// Four times the bits at the same quantiser: with a tree of references all get
	// the same quantiser, otherwise complexity counts to the power of 0.6.
	flat := []Pass{slice(100, 4000, 26), slice(100, 1000, 26)}
	uneven, _, _ := Share(2e5, flat)
	flat[0].Flat, flat[1].Flat = true, true
	even, _, _ := Share(2e5, flat)
	if r := even[0] / even[1]; math.Abs(r-4) > 0.1 {
		t.Errorf("one quantiser for all: %.2f times the bits, want 4", r)
	}
	if r, want := uneven[0]/uneven[1], math.Pow(4, compress); math.Abs(r-want) > 0.3 {
		t.Errorf("complexity: %.2f times the bits, want %.2f", r, want)
	}
	// The same pictures, analysed at another quantiser, are the same pictures.
	coarse := slice(100, 1000*math.Pow(scaleOf(26)/scaleOf(32), 1.1), 32)
	shares, _, _ = Share(1e5, []Pass{slice(100, 1000, 26), coarse})
	if r := shares[0] / shares[1]; math.Abs(r-1) > 0.15 {
		t.Errorf("analysed at 26 and 32: %.2f", r)
	}
	// Less than nothing is not asked of an encoder.
	if shares, floor, _ = Share(10, []Pass{slice(100, 1000, 26)}); shares[0] != floor || floor < 1000 {
		t.Errorf("10 bits: %v, floor %v", shares, floor)
	}
	if _, _, err := Share(10, []Pass{{}}); !errs.Is(err, errs.Invalid) {
		t.Errorf("of nothing: %v", err)
	}
}

func TestShareAddsUp(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var all []Pass
		for range rapid.IntRange(1, 6).Draw(t, "slices") {
			all = append(all, slice(rapid.IntRange(1, 60).Draw(t, "frames"), rapid.Float64Range(1, 1e6).Draw(t, "bits"), rapid.Float64Range(0, 51).Draw(t, "qp")))
			all[len(all)-1].Flat = rapid.Bool().Draw(t, "flat")
		}
		bits := rapid.Float64Range(1, 1e10).Draw(t, "budget")
		shares, floor, err := Share(bits, all)
		if err != nil {
			t.Fatal(err)
		}
		sum := 0.0
		for _, s := range shares {
			if !(s > 0) {
				t.Fatalf("shares %v", shares)
			}
			sum += s
		}
		if want := max(bits, floor); math.Abs(sum-want) > 1e-6*want {
			t.Fatalf("%v of %v bits are shared", sum, want)
		}
	})
}

const x264 = `#options: 320x180 fps=25/1 timebase=1/12800 bitdepth=8 rc=crf mbtree=1 crf=23.0
in:0 out:0 type:I dur:1024 cpbdur:1024 q:29.97 aq:17.78 tex:24452 mv:2918 misc:5974 imb:240 pmb:0 smb:0 d:- ref:;
in:3 out:1 type:P dur:1024 cpbdur:1024 q:12.00 aq:23.61 tex:8380 mv:543 misc:245 imb:60 pmb:60 smb:120 d:- ref:0 ;
in:1 out:2 type:b dur:2048 cpbdur:1024 q:29.96 aq:23.61 tex:8380 mv:543 misc:245 imb:8 pmb:70 smb:162 d:- ref:0 ;
`

func TestReadStatistics(t *testing.T) {
	p, err := Read([]byte(x264))
	if err != nil {
		t.Fatal(err)
	}
	if len(p.Frames) != 3 || !p.Flat || math.Abs(p.Seconds-0.16) > 1e-9 || p.FrameRate != 25 {
		t.Errorf("%d frames, %v s, %v a second, flat %v", len(p.Frames), p.Seconds, p.FrameRate, p.Flat)
	}
	if f := p.Frames[1]; f.Type != 'P' || f.Scale != 0.85 || f.Texture != 8380 || f.Motion != 543 || f.Misc != 245 || f.Intra != 0.25 {
		t.Errorf("%+v", f)
	}
	p, err = Read([]byte("#options: fps=30000/1001 input-res=320x180 no-cutree qpmin=0\n" +
		"in:0 out:0 type:I q:29.97 q-aq:24.88 q-noVbv:29.97 q-Rceq:1.00 tex:26558 mv:3658 misc:320 icu:240.00 pcu:0.00 scu:0.00 sc:0 ;\n"))
	if err != nil || p.Flat || math.Abs(p.Seconds-1001.0/30000) > 1e-9 {
		t.Errorf("x265: %+v, %v", p, err)
	}
	for name, text := range map[string]string{
		"nothing": "", "something else": "hello\nin:0", "no rate": "#options: fps=0/1\n",
		"broken off": x264[:len(x264)-60], "no number": strings.Replace(x264, "tex:8380", "tex:x", 1),
		"not a number": strings.Replace(x264, "tex:8380", "tex:NaN", 1), "negative": strings.Replace(x264, "tex:8380", "tex:-1", 1),
		"too large": strings.Replace(x264, "tex:8380", "tex:1e99", 1), "a wild quantiser": strings.Replace(x264, "q:12.00", "q:9999", 1),
	} {
		if _, err := Read([]byte(text)); !errs.Is(err, errs.Invalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func FuzzRead(f *testing.F) {
	f.Add([]byte(x264))
	f.Fuzz(func(t *testing.T, b []byte) {
		p, err := Read(b)
		if err != nil || len(p.Frames) > 100 {
			return
		}
		if shares, _, err := Share(1e6, []Pass{p}); err == nil && !(shares[0] > 0) {
			t.Fatalf("%v of %q", shares, b)
		}
	})
}

// TestLasting: libvpx's records say how long what they are about really lasts.
func TestLasting(t *testing.T) {
	dir := t.TempDir()
	raw := make([]byte, 5*vpxSize)
	for i := range raw {
		raw[i] = byte(i)
	}
	path := filepath.Join(dir, Log)
	text := base64.StdEncoding.EncodeToString(raw)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := Lasting("h264", dir, 2); err != nil {
		t.Fatal(err)
	}
	if b, _ := os.ReadFile(path); string(b) != text {
		t.Error("the statistics of another encoder were changed")
	}
	if err := Lasting("vp9", dir, 2); err != nil {
		t.Fatal(err)
	}
	b, _ := os.ReadFile(path)
	got, err := base64.StdEncoding.DecodeString(string(b))
	if err != nil || len(got) != len(raw) {
		t.Fatalf("%d bytes, %v", len(got), err)
	}
	for i := range 5 {
		at := i*vpxSize + 8*vpxDuration
		want := 5e6 // four pictures in 2 s, in 100 ns
		if i == 4 {
			want = 2e7
		}
		if d := math.Float64frombits(binary.LittleEndian.Uint64(got[at:])); d != want {
			t.Errorf("record %d lasts %v", i, d)
		}
		copy(got[at:at+8], raw[at:at+8])
	}
	if !bytes.Equal(got, raw) {
		t.Error("more than lengths were changed")
	}
	for _, text := range []string{"", "%%%", base64.StdEncoding.EncodeToString(raw[:vpxSize]), base64.StdEncoding.EncodeToString(raw[:vpxSize*2+1])} {
		if _, err := lasting([]byte(text), 2); !errs.Is(err, errs.Invalid) {
			t.Errorf("%.20q: %v", text, err)
		}
	}
}

// TestPack: statistics come back as they were, without what lies beside them.
func TestPack(t *testing.T) {
	dir := t.TempDir()
	tree := bytes.Repeat([]byte{1, 2, 3}, 1000)
	for name, content := range map[string][]byte{Log: []byte(x264), Log + ".mbtree": tree, "slice.mp4": tree} {
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	packed := filepath.Join(t.TempDir(), "analysis.zip")
	if err := Pack(packed, dir, About{Frames: 3, Seconds: 0.16}); err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(packed)
	if err != nil {
		t.Fatal(err)
	}
	about, stats, err := Open(bytes.NewReader(b), int64(len(b)))
	if err != nil || about.Frames != 3 || about.Seconds != 0.16 || string(stats) != x264 {
		t.Errorf("%+v, %d bytes, %v", about, len(stats), err)
	}
	into := t.TempDir()
	if err := Unpack(bytes.NewReader(b), int64(len(b)), into); err != nil {
		t.Fatal(err)
	}
	if got, _ := os.ReadFile(filepath.Join(into, Log+".mbtree")); !bytes.Equal(got, tree) {
		t.Errorf("%d bytes of tree", len(got))
	}
	if _, err := os.Stat(filepath.Join(into, "slice.mp4")); !os.IsNotExist(err) {
		t.Errorf("what is not statistics: %v", err)
	}
	if p, err := ReadLog(into); err != nil || len(p.Frames) != 3 {
		t.Errorf("%d frames, %v", len(p.Frames), err)
	}
	if _, _, err := Open(bytes.NewReader(b[:len(b)/2]), int64(len(b)/2)); !errs.Is(err, errs.Invalid) {
		t.Errorf("half a file: %v", err)
	}
	// A tool that was taken over cannot have the platform's own files packed.
	trap := t.TempDir()
	if err := os.Symlink(packed, filepath.Join(trap, Log)); err != nil {
		t.Fatal(err)
	}
	if err := Pack(filepath.Join(t.TempDir(), "x.zip"), trap, About{}); err == nil {
		t.Error("a link out of the folder was followed")
	}
}
