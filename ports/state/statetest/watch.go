package statetest

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/mediafn/mediafn/core/task"
	"github.com/mediafn/mediafn/ports/state"
)

func testBacklog(t *testing.T, b *bench) {
	none, err := b.Backlog(t.Context())
	if err != nil || len(none) != 0 {
		t.Fatalf("%v, %v", none, err)
	}
	tk := b.submit("a", "m")
	var posts []state.Post
	for i, kind := range []state.PostKind{state.Webhook, state.Sweep, state.Webhook} {
		posts = append(posts, state.Post{
			ID: task.NewID(), TaskID: tk.ID, Kind: kind, Body: "{}", NotBefore: epoch, CreatedAt: epoch.Add(time.Duration(3-i) * time.Second),
		})
	}
	if err := b.Apply(t.Context(), []state.Change{{Posts: posts}})[0]; err != nil {
		t.Fatal(err)
	}
	got, err := b.Backlog(t.Context())
	want := map[state.PostKind]state.Backlog{
		state.Webhook: {Posts: 2, Oldest: epoch.Add(time.Second)}, state.Sweep: {Posts: 1, Oldest: epoch.Add(2 * time.Second)},
	}
	if d := cmp.Diff(want, got); d != "" || err != nil {
		t.Error(d, err)
	}
}

func testWatch(t *testing.T, b *bench) {
	seen := make(chan state.Commit, 16)
	b.Watch(func(c state.Commit) { seen <- c })
	b.submit("a", "m") // returns after its commit was told of
	b.Watch(func(state.Commit) {})
	b.submit("a", "other")
	close(seen)
	writes := 0
	for c := range seen {
		writes += c.Writes
		if c.Statements < c.Writes || c.Took <= 0 || c.Err != nil {
			t.Errorf("%+v", c)
		}
	}
	if writes != 1 {
		t.Errorf("%d writes were told of", writes)
	}
}
