package e2e_test

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"time"

	"github.com/mediafn/mediafn/api"
	"github.com/mediafn/mediafn/core/errs"
	"github.com/mediafn/mediafn/core/media"
	"github.com/mediafn/mediafn/core/task"
)

// outsideFlow has an outside service answer, and then makes a picture.
const outsideFlow = `name: chaos.outside
modules:
  - module_name: Ask
    status: asking
    next_status: making
    components:
      - {component_name: Ask, fn: service.call, async: true, timeout: 20s, retry: 20, params: {from: task.params}, depends: []}
  - module_name: Make
    status: making
    next_status: done
    components:
      - {component_name: Picture, fn: image.transform, inputs: {source: task.inputs.0}, params: {width: 40, format: png}, depends: []}
result: [Picture]
report: {answer: Ask.answer}
`

// fallbackFlow lets a picture out before the end, asks a service that refuses,
// and goes on with what stands in for it.
const fallbackFlow = `name: chaos.fallback
modules:
  - module_name: Look
    status: looking
    next_status: judging
    components:
      - {component_name: Thumb, fn: image.transform, inputs: {source: task.inputs.0}, params: {width: 40, format: jpg}, depends: []}
    output: [Thumb]
  - module_name: Judge
    status: judging
    next_status: done
    components:
      - {component_name: Ask, fn: service.call, params: {from: task.params}, on_fail: fallback, fallback: Desk, depends: []}
      - {component_name: Desk, fn: noop, depends: []}
result: [Thumb]
`

// writeFlows makes a folder of these flows.
func writeFlows(dir string) error {
	for name, text := range map[string]string{"outside.yaml": outsideFlow, "fallback.yaml": fallbackFlow} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			return err
		}
	}
	return nil
}

// errand is a task and what its caller does beside waiting.
type errand struct {
	api.Submit
	files int // results it must have

	gateway int           // where it is submitted first
	wait    time.Duration // "Prefer: wait"
	twice   bool          // it is submitted again, elsewhere, though it was accepted
	cancel  bool          // it is canceled at once
	retry   bool          // if it did not succeed it is retried

	id    string        // once accepted
	reply *api.Callback // what "Prefer: wait" brought
}

// errands are n tasks in a mix and an order that the seed makes.
func errands(seed uint64, n int, world string, video, still media.Ref) []*errand {
	chance := rand.New(rand.NewPCG(seed, 2))
	ask := func(path string) json.RawMessage { return json.RawMessage(fmt.Sprintf(`{"url":%q}`, world+path)) }
	raw := func(s string) json.RawMessage { return json.RawMessage(s) }
	mix := []struct {
		times int
		errand
		out string
	}{
		{8, errand{Submit: api.Submit{Cmd: "noop"}}, ""},
		{2, errand{Submit: api.Submit{Cmd: "image.transform", Inputs: []media.Ref{still}, Params: raw(`{"width":80,"format":"jpg"}`)}, files: 1}, "picture.jpg"},
		{1, errand{Submit: api.Submit{Cmd: "image.transform", Inputs: []media.Ref{still}, Params: raw(`{"width":40,"format":"png"}`)}, files: 1}, ""},
		{2, errand{Submit: api.Submit{Cmd: "inspect.probe", Inputs: []media.Ref{video}}}, ""},
		{1, errand{Submit: api.Submit{Cmd: "derive.audio", Inputs: []media.Ref{video}}, files: 1}, "sound.m4a"},
		{1, errand{Submit: api.Submit{Cmd: "derive.frames", Inputs: []media.Ref{video}, Params: raw(`{"mode":"count","count":3}`)}, files: 3}, ""},
		{2, errand{Submit: api.Submit{Cmd: "video.transcode", Inputs: []media.Ref{video}, Params: raw(`{"preset":"ultrafast","height":90}`),
			Extra: task.Extra{Slice: "force"}}, files: 1}, "film.mp4"},
		{2, errand{Submit: api.Submit{Cmd: "chaos.outside", Inputs: []media.Ref{still}, Params: ask("/service")}, files: 1}, ""},
		{1, errand{Submit: api.Submit{Cmd: "chaos.fallback", Inputs: []media.Ref{still}, Params: ask("/refuse")}, files: 1}, ""},
	}
	var all []*errand
	for len(all) < n {
		for _, m := range mix {
			for range m.times {
				e := m.errand
				if m.out != "" {
					e.Outputs = []media.Ref{{Bucket: "wanted", Key: m.out}}
				}
				all = append(all, &e)
			}
		}
	}
	all = all[:n]
	chance.Shuffle(n, func(i, j int) { all[i], all[j] = all[j], all[i] })
	for i, e := range all {
		e.MsgID = fmt.Sprintf("chaos-%d-%d", seed, i)
		e.NotifyURL = world + "/hooks"
		e.Extra.ResultQueue = chance.IntN(3) == 0
		e.gateway = chance.IntN(2)
		e.twice = chance.IntN(5) == 0
		if chance.IntN(6) == 0 {
			e.wait = 10 * time.Second
		}
		e.cancel = e.wait == 0 && chance.IntN(8) == 0
		e.retry = chance.IntN(2) == 0
		for j := range e.Outputs {
			e.Outputs[j].Key = e.MsgID + "/" + e.Outputs[j].Key
		}
	}
	return all
}

// carry does an errand to its end, as a caller does: who gets no answer asks
// again, at the other gateway.
func (c *cluster) carry(ctx context.Context, in *inbox, e *errand) error {
	submit := func() error {
		return c.ask(ctx, e.gateway, e.wait+15*time.Second, func(ctx context.Context, g *role) error {
			a, err := g.Submit(ctx, &e.Submit, e.wait)
			if err != nil {
				return err
			}
			if e.id != "" && e.id != a.TaskID {
				c.t.Errorf("%s was task %s and is task %s now", e.MsgID, e.id, a.TaskID)
			}
			e.id = a.TaskID
			if a.Callback != nil {
				e.reply = a.Callback
			}
			return nil
		})
	}
	if err := submit(); err != nil {
		return fmt.Errorf("submit: %w", err)
	}
	if e.twice {
		e.gateway++
		if err := submit(); err != nil {
			return fmt.Errorf("submit again: %w", err)
		}
	}
	if e.cancel {
		err := c.ask(ctx, e.gateway, 15*time.Second, func(ctx context.Context, g *role) error {
			_, err := g.Cancel(ctx, e.id)
			return err
		})
		if err != nil && !errs.Is(err, errs.Conflict) { // it was faster
			return fmt.Errorf("cancel: %w", err)
		}
	}
	if err := c.told(ctx, in, e, 0); err != nil {
		return err
	}
	if e.retry {
		return c.again(ctx, in, e)
	}
	return nil
}

// again retries a task that did not succeed, and waits for its next end.
func (c *cluster) again(ctx context.Context, in *inbox, e *errand) error {
	before := -1
	err := c.ask(ctx, e.gateway, 15*time.Second, func(ctx context.Context, g *role) error {
		v, err := g.Task(ctx, e.id)
		if err != nil {
			return err
		}
		if v.State == task.Succeeded && before < 0 {
			return nil
		}
		if before < 0 {
			before = v.Generation
		}
		if v.Generation == before { // else an answer got lost, and it is under way
			_, err = g.Retry(ctx, e.id)
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("retry: %w", err)
	}
	if before < 0 {
		return nil
	}
	c.count("tasks retried", 1)
	return c.told(ctx, in, e, before+1)
}

// told waits for the webhook of a generation.
func (c *cluster) told(ctx context.Context, in *inbox, e *errand, generation int) error {
	select {
	case <-in.await(e.MsgID, generation):
		return nil
	case <-ctx.Done():
		return fmt.Errorf("no webhook tells the end of generation %d", generation)
	}
}

// ask makes a request at one gateway, then the other, until one answers.
// Errors that pass are the weather; what comes back is not.
func (c *cluster) ask(ctx context.Context, first int, patience time.Duration, what func(context.Context, *role) error) error {
	gateways := c.of("gateway")
	for try := first; ; try++ {
		one, cancel := context.WithTimeout(ctx, patience)
		err := what(one, gateways[try%len(gateways)])
		cancel()
		if err == nil {
			return nil
		}
		switch errs.KindOf(err) {
		case errs.Transient, errs.Timeout, errs.Busy, errs.Canceled:
			c.count("requests that were made again", 1)
		default:
			return err
		}
		select {
		case <-time.After(200 * time.Millisecond):
		case <-ctx.Done():
			return fmt.Errorf("%w, last: %w", ctx.Err(), err)
		}
	}
}
