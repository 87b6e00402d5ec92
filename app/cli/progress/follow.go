package progress

import (
	"context"
	"time"

	"github.com/mediafn/mediafn/api"
	"github.com/mediafn/mediafn/api/client"
	"github.com/mediafn/mediafn/core/errs"
)

// maxBreaks is how often in a row a stream may break before it is given up.
const maxBreaks = 10

// Follow shows a task until it has ended, and returns it as it ended. A stream
// that breaks is opened again.
func Follow(ctx context.Context, c *client.Client, id string, v View) (*api.Task, error) {
	defer v.Close()
	for breaks := 0; ; breaks++ {
		var last error
		for e, err := range c.Events(ctx, id) {
			if err != nil {
				last = err
				break
			}
			breaks = 0
			v.Show(e)
			if e.Type == "end" {
				return e.Task, nil
			}
		}
		again := errs.Is(last, errs.Transient) || errs.Is(last, errs.Busy)
		if !again || breaks == maxBreaks {
			return nil, last
		}
		select {
		case <-time.After(time.Second):
		case <-ctx.Done():
			return nil, errs.Wrap("watch", context.Cause(ctx))
		}
	}
}
