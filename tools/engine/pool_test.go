package engine_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"image"
	_ "image/gif"
	_ "image/jpeg"
	_ "image/png"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/mediafn/mediafn/core/errs"
	"github.com/mediafn/mediafn/core/media"
	"github.com/mediafn/mediafn/tools/engine"
	"github.com/mediafn/mediafn/tools/engine/wire"
)

func small(t testing.TB) engine.TransformRequest {
	return engine.TransformRequest{
		Input:     engine.Input{Format: "jpeg", Bytes: generate(t, "jpg", "testsrc2=s=160x120")},
		Transform: wire.Transform{Width: 80, Output: wire.Encoding{Format: "png"}},
	}
}

func TestTransformAndInfo(t *testing.T) {
	p := pool(t)
	req := small(t)
	res, err := p.Transform(t.Context(), req)
	if err != nil {
		t.Fatal(err)
	}
	cfg, format, err := image.DecodeConfig(bytes.NewReader(res.Bytes))
	if err != nil || format != "png" || cfg.Width != 80 || cfg.Height != 60 {
		t.Fatalf("%v %s %+v", err, format, cfg)
	}
	if res.Width != 80 || res.Height != 60 || res.SourceWidth != 160 || res.SourceHeight != 120 || res.Mime != "image/png" || res.Pages != 1 {
		t.Errorf("%+v", res.Result)
	}
	if res.Usage.RSS == 0 {
		t.Error("no usage reported")
	}
	info, err := p.Info(t.Context(), req.Input)
	if err != nil {
		t.Fatal(err)
	}
	if info.Kind != media.Image || info.Format != "jpeg" || info.Mime != "image/jpeg" || info.Size != int64(len(req.Bytes)) ||
		info.Image.Width != 160 || info.Image.Height != 120 || info.Image.Bands != 3 || info.Image.BitDepth != 8 ||
		info.Image.ColorSpace != "srgb" || info.Image.HasAlpha {
		t.Errorf("%+v %+v", info, info.Image)
	}
	if err := p.Health(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestInputFromFile(t *testing.T) {
	p := pool(t)
	req := small(t)
	want, err := p.Transform(t.Context(), req)
	if err != nil {
		t.Fatal(err)
	}
	name := filepath.Join(t.TempDir(), "packed")
	if err := os.WriteFile(name, append([]byte("before"), append(req.Bytes, "after"...)...), 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	in := engine.Input{Format: "jpeg", File: f, Offset: 6, Size: int64(len(req.Bytes))}
	got, err := p.Transform(t.Context(), engine.TransformRequest{Input: in, Transform: req.Transform})
	if err != nil || !bytes.Equal(got.Bytes, want.Bytes) {
		t.Fatalf("%v; %d bytes instead of %d", err, len(got.Bytes), len(want.Bytes))
	}
	in.Size += 100
	if _, err := p.Info(t.Context(), in); !errs.Is(err, errs.Invalid) {
		t.Errorf("file shorter than said: %v", err)
	}
	if err := p.Health(t.Context()); err != nil {
		t.Error(err)
	}
}

// busy returns once a request is with a child.
func busy(p *engine.Pool) {
	for p.Stats().Busy == 0 {
		runtime.Gosched()
	}
}

func TestChildKilledDuringRequest(t *testing.T) {
	p, k := newPool(t, engine.Options{Size: 1})
	if err := p.Warm(t.Context(), 1); err != nil {
		t.Fatal(err)
	}
	victim := k.last().Pid()
	if err := syscall.Kill(victim, syscall.SIGSTOP); err != nil { // so that it cannot be too quick
		t.Fatal(err)
	}
	req, failed := small(t), make(chan error)
	go func() {
		_, err := p.Transform(t.Context(), req)
		failed <- err
	}()
	busy(p)
	if err := syscall.Kill(victim, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	err := <-failed
	var e *errs.Error
	if !errs.Is(err, errs.Transient) || !errors.As(err, &e) || e.Msg != "engine died" {
		t.Errorf("%v", err)
	}
	if _, err := p.Transform(t.Context(), req); err != nil {
		t.Errorf("after the crash: %v", err)
	}
	if s := p.Stats(); s.Died != 1 || s.Served != 1 {
		t.Errorf("%+v", s)
	}
}

func TestChildDeadBetweenRequestsIsReplacedUnseen(t *testing.T) {
	p, k := newPool(t, engine.Options{Size: 1})
	req := small(t)
	if _, err := p.Transform(t.Context(), req); err != nil {
		t.Fatal(err)
	}
	for range 5 {
		victim := k.last()
		if err := syscall.Kill(victim.Pid(), syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
		_ = victim.Wait()
		if _, err := p.Transform(t.Context(), req); err != nil {
			t.Fatal(err)
		}
	}
	if s := p.Stats(); s.Served != 6 || s.Children != 1 {
		t.Errorf("%+v", s)
	}
}

// cpuTicks is the processor time of a process in clock ticks.
func cpuTicks(t *testing.T, pid int) (n int) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		t.Fatal(err)
	}
	f := strings.Fields(string(b[bytes.LastIndexByte(b, ')')+1:]))
	for _, s := range f[11:13] { // utime, stime
		v, err := strconv.Atoi(s)
		if err != nil {
			t.Fatal(err)
		}
		n += v
	}
	return n
}

func TestChildKilledWhileItDecodes(t *testing.T) {
	p, k := newPool(t, engine.Options{Size: 1})
	if err := p.Warm(t.Context(), 1); err != nil {
		t.Fatal(err)
	}
	pid := k.last().Pid()
	before := cpuTicks(t, pid)
	req := engine.TransformRequest{ // seconds of work
		Input:     engine.Input{Format: "png", Bytes: generate(t, "png", "color=gray:s=6000x5000")},
		Transform: wire.Transform{Blur: 20, Output: wire.Encoding{Format: "avif"}},
	}
	failed := make(chan error)
	go func() {
		_, err := p.Transform(t.Context(), req)
		failed <- err
	}()
	busy(p)
	for cpuTicks(t, pid) < before+5 {
		runtime.Gosched()
	}
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	if err := <-failed; !errs.Is(err, errs.Transient) {
		t.Errorf("%v", err)
	}
	if _, err := p.Transform(t.Context(), small(t)); err != nil {
		t.Errorf("after the crash: %v", err)
	}
	if s := p.Stats(); s.Died != 1 || s.Served != 1 {
		t.Errorf("%+v", s)
	}
}

func TestEndlessChildTimesOut(t *testing.T) {
	p, k := newPool(t, engine.Options{Size: 1, Timeout: 200 * time.Millisecond})
	if err := p.Warm(t.Context(), 1); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Kill(k.last().Pid(), syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	req := small(t)
	if _, err := p.Transform(t.Context(), req); !errs.Is(err, errs.Timeout) {
		t.Errorf("%v", err)
	}
	// What is stopped is the child; the limit for its successor is not ours to test.
	if err := p.Health(t.Context()); err != nil {
		t.Errorf("after the timeout: %v", err)
	}
}

func TestCallerGivesUp(t *testing.T) {
	p, k := newPool(t, engine.Options{Size: 1})
	if err := p.Warm(t.Context(), 1); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Kill(k.last().Pid(), syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	req, failed := small(t), make(chan error, 2)
	go func() {
		_, err := p.Transform(ctx, req)
		failed <- err
	}()
	busy(p)
	go func() { // this one waits in the queue
		_, err := p.Transform(ctx, req)
		failed <- err
	}()
	for p.Stats().Waiting == 0 {
		runtime.Gosched()
	}
	cancel()
	for range 2 {
		if err := <-failed; !errs.Is(err, errs.Canceled) {
			t.Errorf("%v", err)
		}
	}
	if _, err := p.Transform(t.Context(), req); err != nil {
		t.Errorf("afterwards: %v", err)
	}
}

func TestQueueIsBounded(t *testing.T) {
	p, k := newPool(t, engine.Options{Size: 1, Queue: 1})
	if err := p.Warm(t.Context(), 1); err != nil {
		t.Fatal(err)
	}
	pid := k.last().Pid()
	if err := syscall.Kill(pid, syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	req, done := small(t), make(chan error, 2)
	for range 2 {
		go func() {
			_, err := p.Transform(t.Context(), req)
			done <- err
		}()
	}
	for s := p.Stats(); s.Busy != 1 || s.Waiting != 1; s = p.Stats() {
		runtime.Gosched()
	}
	if _, err := p.Transform(t.Context(), req); !errs.Is(err, errs.Busy) {
		t.Errorf("third request: %v", err)
	}
	if err := syscall.Kill(pid, syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
}

func TestMemoryLimit(t *testing.T) {
	p, _ := newPool(t, engine.Options{Size: 1, MaxMemory: 150 << 20})
	req := engine.TransformRequest{
		Input:     engine.Input{Format: "png", Bytes: generate(t, "png", "color=gray:s=9000x5000")},
		Transform: wire.Transform{Blur: 20, Output: wire.Encoding{Format: "webp", Lossless: true}},
	}
	if _, err := p.Transform(t.Context(), req); !errs.Is(err, errs.TooLarge) {
		t.Errorf("%v", err)
	}
	if _, err := p.Transform(t.Context(), small(t)); err != nil {
		t.Errorf("afterwards: %v", err)
	}
}

func TestRecycling(t *testing.T) {
	p, k := newPool(t, engine.Options{Size: 2, MaxRequests: 3})
	var wg sync.WaitGroup
	req := small(t)
	for range 2 {
		wg.Go(func() {
			for range 6 {
				if _, err := p.Transform(t.Context(), req); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	p.Close()
	if s := p.Stats(); s.Recycled < 3 || s.Served != 12 || s.Died != 0 {
		t.Errorf("%+v", s)
	}
	if len(k.procs) < 3 {
		t.Errorf("%d processes", len(k.procs))
	}
}

func TestCloseEndsRequests(t *testing.T) {
	p, k := newPool(t, engine.Options{Size: 1})
	if err := p.Warm(t.Context(), 1); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Kill(k.last().Pid(), syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	req, failed := small(t), make(chan error)
	go func() {
		_, err := p.Transform(t.Context(), req)
		failed <- err
	}()
	busy(p)
	go p.Close()
	if err := <-failed; !errs.Is(err, errs.Canceled) {
		t.Errorf("%v", err)
	}
	p.Close()
	if _, err := p.Transform(t.Context(), req); !errs.Is(err, errs.Canceled) {
		t.Errorf("after Close: %v", err)
	}
}

func TestMissingBinary(t *testing.T) {
	p := engine.NewPool(engine.Exec("/nonexistent/mediafn-engine"), engine.Options{Size: 1})
	defer p.Close()
	if err := p.Health(t.Context()); !errs.Is(err, errs.Unsupported) {
		t.Errorf("%v", err)
	}
	q := engine.NewPool(engine.Exec("/bin/false"), engine.Options{Size: 1})
	defer q.Close()
	if err := q.Health(t.Context()); !errs.Is(err, errs.Transient) {
		t.Errorf("%v", err)
	}
}
