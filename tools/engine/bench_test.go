package engine_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/mediafn/mediafn/tools/engine"
	"github.com/mediafn/mediafn/tools/engine/wire"
)

// cpuOf is the processor time a process has used, to the nanosecond: the clock
// clock_getcpuclockid(3) names.
func cpuOf(b *testing.B, pid int) time.Duration {
	var ts unix.Timespec
	if err := unix.ClockGettime(int32(^pid<<3|2), &ts); err != nil {
		b.Fatal(err)
	}
	return time.Duration(ts.Nano())
}

func ownCPU(b *testing.B) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// vipsProgram compiles a C program of testdata against libvips.
func vipsProgram(t testing.TB, name string) string {
	t.Helper()
	flags, err := exec.Command("pkg-config", "--cflags", "--libs", "vips").Output()
	if err != nil {
		t.Fatal(err)
	}
	bin := filepath.Join(t.TempDir(), name)
	cc := exec.Command("cc", append([]string{"-O2", "-o", bin, "testdata/" + name + ".c"}, strings.Fields(string(flags))...)...)
	if out, err := cc.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return bin
}

// BenchmarkTransform makes a 400 px picture of an 1800×1200 JPEG through the
// pool and with libvips alone, in turns, one at a time each. Figures are medians
// of the rounds: "x-bare" is the pool's rate over the bare rate, "x-bare-cpu" the
// same by processor time of the child alone, which other work on the machine
// disturbs less, and "client-µs" what the pool's own process spends on a picture.
func BenchmarkTransform(b *testing.B) {
	const batch = 20
	in := generate(b, "jpg", "testsrc2=s=1800x1200,noise=alls=12:allf=t", "-frames:v", "1", "-q:v", "3")
	name := filepath.Join(b.TempDir(), "in.jpg")
	if err := os.WriteFile(name, in, 0o600); err != nil {
		b.Fatal(err)
	}
	ref := exec.Command(vipsProgram(b, "bare"), name, "400")
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
	p, k := newPool(b, engine.Options{Size: 1})
	req := engine.TransformRequest{
		Input:     input("jpeg", in),
		Transform: wire.Transform{Width: 400, AutoOrient: true, Output: wire.Encoding{Format: "jpg"}},
	}
	var wall, cpu, rates, client []float64
	round := func() {
		runs := []func() (wall, cpu time.Duration){
			func() (time.Duration, time.Duration) {
				start, used, own := time.Now(), cpuOf(b, k.last().Pid()), ownCPU(b)
				for range batch {
					if _, err := p.Transform(b.Context(), req); err != nil {
						b.Fatal(err)
					}
				}
				client = append(client, float64((ownCPU(b)-own).Microseconds())/batch)
				return time.Since(start), cpuOf(b, k.last().Pid()) - used
			},
			func() (time.Duration, time.Duration) {
				used, seconds := cpuOf(b, ref.Process.Pid), 0.0
				_, _ = fmt.Fprintln(stdin, batch)
				if _, err := fmt.Fscan(stdout, &seconds); err != nil {
					b.Fatal(err)
				}
				return time.Duration(seconds * 1e9), cpuOf(b, ref.Process.Pid) - used
			},
		}
		var w, c [2]time.Duration
		for i := range runs { // who goes first changes from round to round
			n := (i + len(wall)) % 2
			w[n], c[n] = runs[n]()
		}
		wall, cpu = append(wall, w[1].Seconds()/w[0].Seconds()), append(cpu, c[1].Seconds()/c[0].Seconds())
		rates = append(rates, batch/w[0].Seconds())
	}
	if err := p.Warm(b.Context(), 1); err != nil {
		b.Fatal(err)
	}
	round()
	wall, cpu, rates, client = nil, nil, nil, nil
	for b.Loop() {
		round()
	}
	for unit, of := range map[string][]float64{"x-bare": wall, "x-bare-cpu": cpu, "images/s": rates, "client-µs": client} {
		slices.Sort(of)
		b.ReportMetric(of[len(of)/2], unit)
	}
	b.ReportMetric(0, "ns/op")
}
