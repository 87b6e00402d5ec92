package controller

import (
	"context"

	"github.com/mediafn/mediafn/core/task"
)

// loop takes what happens, turn after turn. While the rows of one turn are
// being written the next is prepared; messages about tasks that are being
// written wait for it.
func (c *Controller) loop(ctx context.Context) {
	for {
		var written <-chan struct{}
		if c.writing != nil {
			written = c.writing.done
		} else if len(c.later) > 0 {
			batch := c.later
			c.later = nil
			c.handle(ctx, c.batch(batch))
			continue
		}
		select {
		case m := <-c.inbox:
			c.handle(ctx, c.batch([]message{m}))
		case <-written:
			c.settle(ctx)
		case <-ctx.Done():
			c.settle(ctx)
			return
		}
	}
}

// batch takes what else has happened, so that it is committed together.
func (c *Controller) batch(all []message) []message {
	for len(all) < 512 {
		select {
		case m := <-c.inbox:
			all = append(all, m)
		default:
			return all
		}
	}
	return all
}

// handle is one turn of the loop: what happened, what follows, which work goes
// to whom; then what is written in one commit, after which others are told.
func (c *Controller) handle(ctx context.Context, batch []message) {
	t := newTurn(c)
	for _, m := range batch {
		if m.tick {
			c.settle(ctx) // the reaper looks at all rows
			t.now = c.parts.Now()
		} else if c.writing.has(m.about()) {
			c.later = append(c.later, m)
			continue
		}
		switch {
		case m.want != nil:
			c.want(ctx, m.want)
		case m.answer != nil:
			t.answer(ctx, m.answer)
		case m.notice != nil:
			c.heed(ctx, m.notice)
		case m.status != "":
			c.send(ctx, m.status, c.status(ctx))
		case m.tick:
			c.duties.renew(ctx)
			c.study(ctx)
			t.reap(ctx)
		case m.task != nil:
			t.announced(ctx, m.task)
		default:
			t.fresh(ctx, m.taskID) // somebody else wrote to the row
		}
	}
	t.decide()
	t.match(ctx)
	c.settle(ctx)
	t.begin(ctx)
}

// about is the task a message is about, or empty.
func (m *message) about() string {
	if m.answer != nil {
		id, _, _, _ := task.ParseID(m.answer.Work) // what is no id is found out later
		return id
	}
	return m.taskID
}
