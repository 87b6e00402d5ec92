package gateway_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/mediafn/mediafn/api"
	"github.com/mediafn/mediafn/core/flow"
	"github.com/mediafn/mediafn/roles/gateway"
)

const mine = `{name: mine, summary: S, modules: [{module_name: R, status: init, next_status: done, components: [
 {component_name: Run, fn: t.work, inputs: {in: task.inputs.0}, params: {width: WIDTH}}]}]}`

// library takes active flows into the gateway's book, as the app does.
func library(r *rig, p *gateway.Parts) {
	p.Refresh = func(ctx context.Context) error {
		active, err := r.store.ActiveFlows(ctx)
		built, _ := flow.Load([]byte(single))
		plans := []*flow.Plan{built}
		for _, v := range active {
			p, err := flow.Load([]byte(v.Body))
			if err != nil {
				return err
			}
			plans = append(plans, p)
		}
		p.Flows.Replace(plans...)
		return err
	}
}

func TestFlowsOverTheAPI(t *testing.T) {
	r := newRigWith(t, library, admins)
	ops := r.as("key-ops")
	const path = "/v1/admin/flows/mine"
	submit := func(want int) {
		t.Helper()
		body := `{"cmd":"mine","input_files":[{"bucket":"bucket-a","key":"k"}]}`
		if w := r.as("key-a").do("POST", "/v1/tasks", body); w.Code != want {
			t.Errorf("submitted: %d %s", w.Code, w.Body)
		}
	}
	submit(400)
	first := read[api.Flow](t, ops.do("PUT", path, strings.Replace(mine, "WIDTH", "20", 1)), 200)
	if first.Name != "mine" || first.Version == "" || !first.Current || first.Author != "ops" || first.Summary != "S" {
		t.Errorf("%+v", first)
	}
	submit(202)
	second := read[api.Flow](t, ops.do("PUT", path, strings.Replace(mine, "WIDTH", "30", 1)), 200)
	versions := read[api.Flows](t, ops.do("GET", path, ""), 200).Flows
	if len(versions) != 2 || current(versions) != second.Version || second.Version == first.Version {
		t.Errorf("%+v", versions)
	}
	if w := ops.do("GET", path+"/"+first.Version, ""); w.Code != 200 || !strings.Contains(w.Body.String(), "width: 20") {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	read[api.Flow](t, ops.do("PUT", path+"/"+first.Version, ""), 200) // and back
	if all := read[api.Flows](t, ops.do("GET", "/v1/admin/flows", ""), 200).Flows; len(all) != 2 || current(all) != first.Version || all[0].ActivatedAt == nil || all[1].ActivatedAt != nil {
		t.Errorf("%+v", all)
	}
	if f := read[api.Flow](t, ops.do("DELETE", path, ""), 200); f.Current {
		t.Errorf("%+v", f)
	}
	submit(400)
	read[api.Problem](t, ops.do("DELETE", path, ""), 404)
	if versions := read[api.Flows](t, ops.do("GET", path, ""), 200).Flows; len(versions) != 2 || current(versions) != "" || versions[0].RetiredAt == nil {
		t.Errorf("%+v", versions)
	}
	read[api.Problem](t, r.as("key-a").do("PUT", path, mine), 403)
}

// current is the version of the flow "mine" that new tasks get.
func current(flows []api.Flow) string {
	for _, f := range flows {
		if f.Name == "mine" && f.Current {
			return f.Version
		}
	}
	return ""
}

func TestBadFlows(t *testing.T) {
	r := newRigWith(t, library)
	for body, want := range map[string]string{
		`{`: "", `{name: mine}`: "modules", strings.Replace(mine, "WIDTH", "2000", 1): "width",
		strings.Replace(strings.Replace(mine, "WIDTH", "20", 1), "t.work", "t.nothing", 1):       "t.nothing",
		strings.Replace(strings.Replace(mine, "WIDTH", "20", 1), "name: mine", "name: other", 1): `"other"`,
	} {
		if p := read[api.Problem](t, r.do("PUT", "/v1/admin/flows/mine", body), 400); !strings.Contains(p.Detail, want) {
			t.Errorf("%s: %s", body, p.Detail)
		}
	}
	read[api.Problem](t, r.do("PUT", "/v1/admin/flows/mine", strings.Repeat(" ", 1<<20+1)), 413)
	read[api.Problem](t, r.do("GET", "/v1/admin/flows/mine", ""), 404)
	read[api.Problem](t, r.do("GET", "/v1/admin/flows/mine/1", ""), 404)
	read[api.Problem](t, r.do("PUT", "/v1/admin/flows/mine/1", ""), 404)
	if active, err := r.store.ActiveFlows(t.Context()); err != nil || len(active) != 0 {
		t.Errorf("%v, %v", active, err)
	}
}

func TestControllers(t *testing.T) {
	r := newRig(t)
	for lease, holder := range map[string]string{"member/c1": "c1", "member/c2": "c2", "match": "c2", "relay": "r1"} {
		if _, held, err := r.store.Hold(t.Context(), lease, holder, time.Minute); err != nil || !held {
			t.Fatal(held, err)
		}
	}
	got := read[api.Controllers](t, r.do("GET", "/v1/admin/controllers", ""), 200)
	if len(got.Controllers) != 2 || got.Controllers[1].Name != "c2" || len(got.Duties) != 2 || got.Duties[0].Name != "match" || got.Duties[0].Holder != "c2" || got.Duties[0].Epoch != 1 {
		t.Errorf("%+v", got)
	}
}
