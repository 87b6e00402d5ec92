package engine_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/mediafn/mediafn/tools/engine"
	"github.com/mediafn/mediafn/tools/engine/wire"
)

// BenchmarkTransform makes a 400 px picture of an 1800×1200 JPEG through the
// pool and with libvips alone, in turns, one at a time each. "x-bare" is the
// pool's rate over the bare rate, the median of the rounds.
func BenchmarkTransform(b *testing.B) {
	const batch = 20
	in := generate(b, "jpg", "testsrc2=s=1800x1200,noise=alls=12:allf=t", "-frames:v", "1", "-q:v", "3")
	dir := b.TempDir()
	name, bare := filepath.Join(dir, "in.jpg"), filepath.Join(dir, "bare")
	if err := os.WriteFile(name, in, 0o600); err != nil {
		b.Fatal(err)
	}
	flags, err := exec.Command("pkg-config", "--cflags", "--libs", "vips").Output()
	if err != nil {
		b.Fatal(err)
	}
	cc := exec.Command("cc", append([]string{"-O2", "-o", bare, "testdata/bare.c"}, strings.Fields(string(flags))...)...)
	if out, err := cc.CombinedOutput(); err != nil {
		b.Fatalf("%v\n%s", err, out)
	}
	ref := exec.Command(bare, name, "400")
	stdin, err := ref.StdinPipe()
	if err != nil {
		b.Fatal(err)
	}
	stdout, err := ref.StdoutPipe()
	if err != nil {
		b.Fatal(err)
	}
	if err := ref.Start(); err != nil {
		b.Fatal(err)
	}
	defer func() { _ = stdin.Close(); _ = ref.Wait() }()
	p, _ := newPool(b, engine.Options{Size: 1})
	req := engine.TransformRequest{
		Input:     input("jpeg", in),
		Transform: wire.Transform{Width: 400, AutoOrient: true, Output: wire.Encoding{Format: "jpg"}},
	}
	both := func() (ours, theirs float64) {
		start := time.Now()
		for range batch {
			if _, err := p.Transform(b.Context(), req); err != nil {
				b.Fatal(err)
			}
		}
		ours = time.Since(start).Seconds()
		_, _ = fmt.Fprintln(stdin, batch)
		if _, err := fmt.Fscan(stdout, &theirs); err != nil {
			b.Fatal(err)
		}
		return ours, theirs
	}
	both()
	var ratios, rates []float64
	for b.Loop() {
		ours, theirs := both()
		ratios, rates = append(ratios, theirs/ours), append(rates, batch/ours)
	}
	slices.Sort(ratios)
	slices.Sort(rates)
	b.ReportMetric(ratios[len(ratios)/2], "x-bare")
	b.ReportMetric(rates[len(rates)/2], "images/s")
	b.ReportMetric(0, "ns/op")
}
