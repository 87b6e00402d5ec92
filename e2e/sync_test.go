package e2e_test

import (
	"context"
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/mediafn/mediafn/api"
	"github.com/mediafn/mediafn/api/client"
	"github.com/mediafn/mediafn/core/media"
	"github.com/mediafn/mediafn/core/task"
)

// reel is 70 seconds without sound in 35 groups of pictures.
func reel(t *testing.T) string {
	return clip(t, "reel.mp4", "-f lavfi -i testsrc2=s=320x180:r=25:d=70 -c:v libx264 -preset ultrafast -g 50 -pix_fmt yuv420p")
}

// slow is work of many seconds on the reel.
func slow(source media.Ref, slicing string) api.Submit {
	return api.Submit{
		Cmd: "video.transcode", Inputs: []media.Ref{source}, Extra: task.Extra{Slice: slicing},
		Params: json.RawMessage(`{"codec":"h265","preset":"medium"}`),
	}
}

// TestSync: who asks to wait gets the callback, or the task's id when the wait
// runs out; who hangs up cancels nothing.
func TestSync(t *testing.T) {
	t.Parallel()
	s := serve(t, t.TempDir(), "")
	still := s.upload("in", picture(t))

	thumb := api.Submit{Cmd: "image.transform", Inputs: []media.Ref{still}, Params: json.RawMessage(`{"width":32,"format":"jpg"}`)}
	a, err := s.Submit(t.Context(), &thumb, 30*time.Second)
	if err != nil || a.Callback == nil || !a.Callback.Success || len(a.Callback.Outputs) != 1 {
		t.Fatalf("wait=30: %+v, %v", a, err)
	}
	if o := a.Callback.Outputs[0]; o.Extra.Mime != "image/jpeg" || o.Extra.FileSize == 0 {
		t.Errorf("callback says %+v", o)
	}

	film := s.upload("in", film(t))
	long := slow(s.upload("in", reel(t)), "off")
	if a, err = s.Submit(t.Context(), &long, time.Second); err != nil || a.Callback != nil || a.TaskID == "" {
		t.Fatalf("wait=1: %+v, %v", a, err)
	}

	gone := slow(film, "off")
	gone.MsgID = "gone"
	ctx, hangUp := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() {
		_, err := s.Submit(ctx, &gone, 30*time.Second)
		done <- err
	}()
	var id string
	eventually(t, time.Minute, func() error {
		page, err := s.Tasks(t.Context(), client.Filter{MsgID: "gone"})
		if err == nil && len(page.Tasks) == 0 {
			err = fmt.Errorf("not accepted")
		}
		if err == nil {
			id = page.Tasks[0].TaskID
		}
		return err
	})
	hangUp()
	if err := <-done; err == nil {
		t.Log("the task was over before its caller hung up")
	}
	s.succeeded(id)
	s.succeeded(a.TaskID)
	quiet(t, s)
	s.stop()
}
