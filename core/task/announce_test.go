package task

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/mediafn/mediafn/core/errs"
	"github.com/mediafn/mediafn/core/fn"
	"github.com/mediafn/mediafn/core/media"
)

// TestAnnouncementCarriesTheWholeRow fills every field: one that gets lost on
// its way would be overwritten with nothing by the first decision.
func TestAnnouncementCarriesTheWholeRow(t *testing.T) {
	when, pre := time.UnixMilli(1700000000123).UTC(), true
	want := Task{
		ID: "t", Tenant: "a", Generation: 2, Flow: "single", FlowVer: "v", State: Running, Status: "init", Ending: Failed,
		Request: Request{
			CreateTime: 1, MsgID: "m", NotifyURL: "http://x/", Priority: 9, Params: json.RawMessage(`{"crf":23}`), Cmd: "c",
			Inputs: []media.Ref{{Cloud: "main", Bucket: "b", Key: "k"}}, Outputs: []media.Ref{{Bucket: "b", Key: "o"}},
			Extra: Extra{Slice: "off", PreDownload: &pre, Deadline: 7, UserData: json.RawMessage(`[1]`), ResultQueue: true},
		},
		Call: Slots{1<<63 + 1, 5}, Ret: Slots{3}, Outputs: []media.Object{{Ref: media.Ref{Bucket: "b", Key: "r"}, Size: 1}},
		Report: json.RawMessage(`{"x":1}`), Error: &Fault{Kind: errs.Timeout, Message: "late"}, Usage: fn.Usage{CPUSeconds: 1.5},
		ReplyTo: "g1", Traceparent: "00-0-0-01", Version: 4, CreatedAt: when, StartedAt: when, EndedAt: when,
	}
	id, got, err := ParseAnnouncement(Announce(&want))
	if err != nil || id != "t" || got == nil {
		t.Fatalf("%q, %v, %v", id, got, err)
	}
	if d := cmp.Diff(want, *got); d != "" {
		t.Error(d)
	}
}

func TestAnnouncementOfALargeTaskIsItsID(t *testing.T) {
	large := Task{ID: "t", Request: Request{MsgID: strings.Repeat("x", maxAnnouncement)}}
	if body := Announce(&large); string(body) != "t" {
		t.Errorf("%d bytes", len(body))
	}
	if id, got, err := ParseAnnouncement([]byte("t")); id != "t" || got != nil || err != nil {
		t.Errorf("%q, %v, %v", id, got, err)
	}
}

func TestAnnouncementsNobodyWrote(t *testing.T) {
	for _, body := range []string{"", "{", `{"task":{}}`, `{"task":{"ID":3}}`} {
		if id, got, err := ParseAnnouncement([]byte(body)); !errs.Is(err, errs.Invalid) || id != "" || got != nil {
			t.Errorf("%q: %q, %v, %v", body, id, got, err)
		}
	}
	if id, got, err := ParseAnnouncement([]byte(`{"schema":99,"task":{"ID":"t"}}`)); id != "t" || got != nil || err != nil {
		t.Errorf("of a newer gateway: %q, %v, %v", id, got, err)
	}
}

func FuzzParseAnnouncement(f *testing.F) {
	f.Add([]byte("id"))
	f.Add(Announce(&Task{ID: "t", Call: Slots{1}}))
	f.Fuzz(func(t *testing.T, body []byte) {
		id, got, err := ParseAnnouncement(body)
		if err == nil && (id == "" || got != nil && got.ID != id) {
			t.Errorf("%q: %q, %+v", body, id, got)
		}
	})
}
