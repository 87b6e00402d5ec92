package progress

import (
	"fmt"
	"sync"

	"github.com/mediafn/mediafn/api"
	"github.com/mediafn/mediafn/api/client"
	"github.com/mediafn/mediafn/core/fn"
	"github.com/mediafn/mediafn/core/task"
)

// Shared returns a view that several may show to at once.
func Shared(v View) View { return &sharedView{v: v} }

type sharedView struct {
	mu     sync.Mutex
	v      View
	closed bool
}

func (s *sharedView) Show(e client.Event) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.closed {
		s.v.Show(e)
	}
}

func (s *sharedView) Close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.closed {
		s.closed = true
		s.v.Close()
	}
}

// Upload shows a file that is being sent like a component of the task beside it.
type Upload struct {
	v    View
	name string
	size int64
}

// ShowUpload begins to show one of size bytes.
func ShowUpload(v View, name string, size int64) *Upload {
	u := &Upload{v, name, size}
	u.state(task.Running)
	return u
}

// Sent says how far it is.
func (u *Upload) Sent(n int64) {
	p := &fn.Progress{Note: fmt.Sprintf("%.1f of %.1f MB", float64(n)/1e6, float64(u.size)/1e6)}
	if u.size > 0 {
		p.Done = float64(n) / float64(u.size)
	}
	u.v.Show(client.Event{Type: "progress", Change: &api.Event{Type: "progress", Component: u.label(), Progress: p}})
}

// End says how it ended.
func (u *Upload) End(err error) {
	if err == nil {
		u.state(task.Succeeded)
	} else {
		u.state(task.Failed)
	}
}

func (u *Upload) state(s task.State) {
	u.v.Show(client.Event{Type: "work", Change: &api.Event{Type: "work", Component: u.label(), State: s}})
}

func (u *Upload) label() string { return "upload " + u.name }
