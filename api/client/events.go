package client

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"io"
	"iter"
	"net/http"
	"strings"

	"github.com/mediafn/mediafn/api"
	"github.com/mediafn/mediafn/core/errs"
)

// Event is one line of a task's live stream.
type Event struct {
	Type   string     // state | task | work | progress | end
	Task   *api.Task  // of state and end: the whole task with its work
	Change *api.Event // of task, work and progress: what just happened
}

// Events follows a task: first its state as it is, then every change, at last
// "end". A stream that breaks off before is one Transient error and may be
// opened again: nothing is lost but progress. An event of a type this client
// does not know is left out.
func (c *Client) Events(ctx context.Context, id string) iter.Seq2[Event, error] {
	return func(yield func(Event, error) bool) {
		reply, err := c.send(ctx, call{
			method: http.MethodGet, path: escape("/v1/tasks/%s/events", id), header: http.Header{"Accept": {"text/event-stream"}},
		})
		if err != nil {
			yield(Event{}, err)
			return
		}
		defer reply.Body.Close()
		s := &stream{r: bufio.NewReader(reply.Body)}
		for {
			e, err := s.next()
			switch {
			case err != nil && ctx.Err() != nil:
				err = errs.Wrap(op, context.Cause(ctx))
			case errors.Is(err, io.EOF):
				err = errs.New(errs.Transient, op, "the event stream broke off")
			}
			if !yield(e, err) || err != nil || e.Type == "end" {
				return
			}
		}
	}
}

// stream reads server-sent events (WHATWG HTML, 9.2).
type stream struct{ r *bufio.Reader }

// next reads up to the next event of a known type. A stream that ends is
// io.EOF, an event that is no JSON or too long is Transient.
func (s *stream) next() (Event, error) {
	name, data := "", strings.Builder{}
	for {
		line, err := s.line(maxReply - data.Len())
		if err != nil {
			return Event{}, err
		}
		field, value, _ := strings.Cut(line, ":")
		value = strings.TrimPrefix(value, " ")
		switch {
		case line == "":
			e, known, err := eventOf(name, data.String())
			if known || err != nil {
				return e, err
			}
			name = ""
			data.Reset()
		case field == "event":
			name = value
		case field == "data":
			if data.Len() > 0 {
				data.WriteByte('\n')
			}
			data.WriteString(value)
		}
	}
}

// line reads one line without its end.
func (s *stream) line(limit int) (string, error) {
	var long []byte
	for {
		part, err := s.r.ReadSlice('\n')
		if errors.Is(err, bufio.ErrBufferFull) {
			err = nil
		} else if err == nil {
			long = append(long, part...)
			return strings.TrimRight(string(long), "\r\n"), nil
		}
		if long = append(long, part...); len(long) > limit {
			return "", errs.New(errs.Transient, op, "an event is longer than %d bytes", maxReply)
		}
		if err != nil {
			return "", io.EOF // a half line is none, however it was cut
		}
	}
}

func eventOf(name, data string) (e Event, known bool, err error) {
	e.Type = name
	var into any
	switch name {
	case "state", "end":
		e.Task = &api.Task{}
		into = e.Task
	case "task", "work", "progress":
		e.Change = &api.Event{}
		into = e.Change
	default:
		return Event{}, false, nil
	}
	if err := json.Unmarshal([]byte(data), into); err != nil {
		return Event{}, false, errs.New(errs.Transient, op, "an event is no JSON: %w", err)
	}
	return e, true, nil
}
