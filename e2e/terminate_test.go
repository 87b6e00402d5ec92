package e2e_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/mediafn/mediafn/core/task"
)

// testWorkerIsTerminated: a busy worker that gets SIGTERM hands back what it
// cannot finish in its grace period; nothing is lost or done twice.
func testWorkerIsTerminated(t *testing.T, p *apart) {
	gateway, controller, results := p.run(t, today(), "gateway"), p.run(t, today(), "controller"), p.run(t, today(), "results")
	worker := p.run(t, today(), "worker", "--grace", "1ms")
	e := newMix(t, []*server{gateway}, "terminated", "six", "audio", "noop")
	half := clip(t, "half.mp4", "-f lavfi -i testsrc2=s=320x180:r=25:d=35 -c:v libx264 -preset ultrafast -g 50 -pix_fmt yuv420p")
	long := gateway.submit(slow(gateway.upload("media-in", half), "force"))
	var before int
	eventually(t, time.Minute, func() error {
		v, err := gateway.Task(t.Context(), long)
		if err != nil {
			return err
		}
		before = len(segments(v, task.Succeeded)) // maybe none: slices that begin together end together
		if len(segments(v, task.Running)) == 0 || len(worker.tools()) == 0 {
			return fmt.Errorf("no slice runs: %s", shown(v))
		}
		return nil
	})
	worker.stop() // in order, and without leaving a tool behind
	v, err := gateway.Task(t.Context(), long)
	if err != nil {
		t.Fatal(err)
	}
	if done := len(segments(v, task.Succeeded)); done < before {
		t.Errorf("%d slices were done, %d are", before, done)
	}
	worker = p.run(t, today(), "worker")
	e.verify(gateway)
	end := gateway.succeeded(long)
	history, err := gateway.History(t.Context(), long)
	if err != nil {
		t.Fatal(err)
	}
	outcomes, succeeded := map[string]int{}, map[string]int{}
	for _, a := range history.Traces {
		outcomes[a.Outcome]++
		if a.Outcome == "succeeded" {
			succeeded[a.WorkID]++
		}
	}
	for _, w := range end.Work {
		if w.Failures+w.Losses > 0 || (w.Attempt > 0 && succeeded[w.ID] != 1) {
			t.Errorf("%s: %d attempts, %d failures, %d losses, %d times done", w.ID, w.Attempt, w.Failures, w.Losses, succeeded[w.ID])
		}
	}
	if outcomes["returned"] == 0 || outcomes["succeeded"]+outcomes["returned"] != len(history.Traces) {
		t.Errorf("outcomes %v", outcomes)
	}
	t.Logf("attempts by outcome: %v", outcomes)
	for _, s := range []*server{gateway, worker, controller, results} {
		s.stop()
	}
}

// cancels of testCancelIsQuick.
const cancels = 20

// testCancelIsQuick cancels a running transcode again and again, and tells how
// long it takes until its tools are gone and until the task says canceled. No
// time is asserted but the order: tools first.
func testCancelIsQuick(t *testing.T, p *apart) {
	gateway, controller, worker := p.run(t, today(), "gateway"), p.run(t, today(), "controller"), p.run(t, today(), "worker")
	source := gateway.upload("media-in", reel(t))
	var gone, told []time.Duration
	for range cancels {
		id := gateway.submit(slow(source, "off"))
		watch(t, time.Minute, func() error {
			if len(worker.tools()) == 0 {
				return fmt.Errorf("no tool runs")
			}
			return nil
		})
		began := time.Now()
		if _, err := gateway.Cancel(t.Context(), id); err != nil {
			t.Fatal(err)
		}
		watch(t, time.Minute, func() error {
			if left := worker.tools(); len(left) > 0 {
				return fmt.Errorf("tools run: %v", left)
			}
			return nil
		})
		gone = append(gone, time.Since(began))
		watch(t, time.Minute, func() error {
			v, err := gateway.Task(t.Context(), id)
			if err == nil && v.State != task.Canceled {
				err = fmt.Errorf("it is %s", v.State)
			}
			return err
		})
		told = append(told, time.Since(began))
		if left := worker.tools(); len(left) > 0 {
			t.Errorf("it is canceled and tools run: %v", left)
		}
	}
	for name, all := range map[string][]time.Duration{"tools are gone": gone, "the task is canceled": told} {
		slices.Sort(all)
		t.Logf("%d cancels, until %s: p50 %s, max %s", len(all), name, all[len(all)/2].Round(time.Millisecond), all[len(all)-1].Round(time.Millisecond))
	}
	for _, s := range []*server{gateway, worker, controller} {
		s.stop()
	}
}

// watch is eventually, looking 200 times a second.
func watch(t *testing.T, limit time.Duration, what func() error) {
	t.Helper()
	ticker := time.NewTicker(5 * time.Millisecond)
	defer ticker.Stop()
	for end := time.After(limit); ; {
		err := what()
		if err == nil {
			return
		}
		select {
		case <-ticker.C:
		case <-end:
			t.Fatalf("still after %s: %v", limit, err)
		}
	}
}
