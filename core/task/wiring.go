package task

import (
	"encoding/json"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/mediafn/mediafn/core/errs"
	"github.com/mediafn/mediafn/core/flow"
	"github.com/mediafn/mediafn/core/fn"
	"github.com/mediafn/mediafn/core/job"
	"github.com/mediafn/mediafn/core/media"
)

// Inline is a function the controller evaluates itself. It sees documents
// only, never media, and is pure.
type Inline func(in InlineCall) (json.RawMessage, error)

// InlineCall is what an inline function is given.
type InlineCall struct {
	Task     *Task
	Function fn.Function // the function the task names; nil if it names a flow
	Docs     map[string]json.RawMessage
	Params   json.RawMessage
	// Price is what the task's function costs for the task's parameters and a
	// source, as experience corrects it; nil like Function.
	Price func(source *media.Info) fn.Price
}

// rows builds what calling c creates: one row, or an event with its segments.
func (r *round) rows(c *flow.Component) ([]Work, error) {
	t := &r.step.Task
	w := Work{
		ID: EventID(t.ID, c.Name), TaskID: t.ID, Component: c.Name, Order: -1, Tenant: t.Tenant,
		Priority: t.Request.Priority, State: Ready, Limit: c.Retry, Timeout: c.Timeout, CreatedAt: r.now,
	}
	params, err := r.params(c)
	if err != nil {
		return nil, err
	}
	name := c.Fn
	if name == "" {
		name = t.Request.Cmd
	}
	if inline, ok := r.Inline[name]; ok {
		return r.inline(c, w, name, inline, params)
	}
	f, err := r.Functions.Get(name)
	if err != nil {
		return nil, err
	}
	inputs, err := r.inputs(c, f)
	if err != nil {
		return nil, err
	}
	if params, err = f.Check(params, r.kinds(f.Spec(), inputs)); err != nil {
		return nil, err
	}
	if c.Async && r.NoOutside != "" {
		return nil, errs.New(errs.Unsupported, c.Name, "it waits for an outside service: %s", r.NoOutside)
	}
	spec := f.Spec()
	w.Fn, w.FnVersion, w.Pool = spec.Name, spec.Version, spec.Pool
	base := job.Job{
		Fn: spec.Name, Version: spec.Version,
		Params: params, Inputs: inputs, Out: r.place(c), Async: c.Async,
		PreDownload: t.Request.Extra.PreDownload != nil && *t.Request.Extra.PreDownload,
		Traceparent: t.Traceparent,
	}
	r.priced(&w, f, &base)
	base.Params = spec.Params.Brief(params)
	if name == job.Publish {
		if base.Out.Final, err = targets(t.Request.Outputs, inputs); err != nil {
			return nil, err
		}
	}
	if c.ForEach != nil {
		return r.fanOut(c, w, base)
	}
	if c.Part != nil {
		if base.Part, err = r.part(*c.Part); err != nil {
			return nil, err
		}
		w.Price, w.Declared = partPrice(&w, base.Part)
		if base.Part.Stream == fn.Sound {
			w.Declared, w.Kind = 0, media.Audio
		}
	}
	w.Timeout = deadline(spec, w)
	return []Work{withJob(w, base)}, nil
}

// partPrice is what a part of a call costs, and what of that is declared: the
// same before experience corrected it. A slice runs on one core. Sound costs so
// little that it runs beside the pictures instead of taking a core from a slice;
// so does reducing analyses.
func partPrice(whole *Work, p *fn.Part) (price fn.Price, declared float64) {
	price = whole.Price
	price.Sound, price.Serial = 0, 0
	price.CPUSeconds *= p.Share
	price.Cores = min(price.Cores, 1)
	if p.Stream == fn.Sound || p.Pass == fn.Reduce {
		price.Cores, price.GPU, price.Memory = 0, 0, min(whole.Price.Memory, 256<<20)
	}
	declared = price.CPUSeconds
	if pictures := whole.Price.CPUSeconds - whole.Price.Sound; pictures > 0 {
		declared *= max(whole.Declared-whole.Price.Sound, 0) / pictures
	}
	return price, declared
}

// maxPriced bounds what a price may give an attempt: prices are computed from
// what media say of themselves.
const maxPriced = 30 * 24 * time.Hour

// deadline is the time an attempt may take (check bill): the component's own
// timeout, or the function's policy on its price.
func deadline(spec *fn.Spec, w Work) time.Duration {
	if w.Timeout > 0 {
		return w.Timeout
	}
	base, factor := spec.Timeout.Base, spec.Timeout.Factor
	if base == 0 {
		base = 2 * time.Minute
	}
	if factor == 0 {
		factor = 10
	}
	if priced := w.Price.CPUSeconds * factor; priced < maxPriced.Seconds() {
		return base + time.Duration(max(priced, 0)*float64(time.Second))
	}
	return base + maxPriced // also what is no number
}

func withJob(w Work, j job.Job) Work {
	if j.Fn != job.Publish {
		j.Out.Prefix += w.Component
	}
	if w.Order >= 0 {
		j.Out.Prefix += "/" + strconv.Itoa(w.Order)
	}
	w.Job, _ = json.Marshal(j) // plain data: cannot fail
	w.Made = &j
	return w
}

// fanOut makes one segment a list element. The event itself waits for them.
func (r *round) fanOut(c *flow.Component, w Work, base job.Job) ([]Work, error) {
	raw, err := r.raw(*c.ForEach)
	if err != nil {
		return nil, err
	}
	var parts []fn.Part
	if raw == nil {
		raw = json.RawMessage("[]")
	}
	if err := json.Unmarshal(raw, &parts); err != nil {
		return nil, errs.New(errs.Internal, c.Name, "%s is not a list of parts: %w", c.ForEach, err)
	}
	spec := mustSpec(r.Functions, w.Fn)
	event := w
	event.State, event.Price, event.Declared = Waiting, fn.Price{}, 0
	rows := []Work{event}
	for i := range parts {
		s := w
		s.ID, s.Order = SegmentID(w.ID, i), i
		if parts[i].Share == 0 { // a list of another maker
			parts[i].Share = 1 / float64(len(parts))
		}
		s.Price, s.Declared = partPrice(&w, &parts[i])
		s.Timeout = deadline(spec, s)
		j := base
		j.Part = &parts[i]
		if j.Inputs, err = r.beside(c, base.Inputs, i); err != nil {
			return nil, err
		}
		rows = append(rows, withJob(s, j))
	}
	return rows, nil
}

func mustSpec(r *fn.Registry, name string) *fn.Spec {
	f, err := r.Get(name)
	if err != nil {
		return &fn.Spec{}
	}
	return f.Spec()
}

func (r *round) inline(c *flow.Component, w Work, name string, inline Inline, params json.RawMessage) ([]Work, error) {
	call := InlineCall{Task: &r.step.Task, Docs: map[string]json.RawMessage{}, Params: params}
	if f, err := r.Functions.Get(r.step.Task.Request.Cmd); err == nil {
		call.Function = f
		call.Price = func(source *media.Info) fn.Price {
			price, _, _ := r.PriceOf(f, r.step.Task.Request.Params, []*media.Info{source})
			return price
		}
	}
	for _, wire := range c.Inputs {
		for _, ref := range wire.Refs {
			doc, err := r.raw(ref)
			if err != nil {
				return nil, err
			}
			if doc != nil {
				call.Docs[wire.Slot] = doc
				break
			}
		}
	}
	facts, err := inline(call)
	if err != nil {
		return nil, errs.Wrap(name, err)
	}
	w.Fn, w.FnVersion, w.Pool, w.Facts = name, "1", fn.CPU, facts
	w.StartedAt = r.now
	return []Work{w.Done(r.now)}, nil
}

// inputs resolves a component's wires to files and documents.
func (r *round) inputs(c *flow.Component, f fn.Function) ([]job.Input, error) {
	var all []job.Input
	if c.Passed {
		passed, err := r.passed(f)
		if err != nil {
			return nil, err
		}
		all = passed
	}
	for _, wire := range c.Inputs {
		if wire.Each() {
			continue // of each segment by itself
		}
		for _, ref := range wire.Refs {
			found, err := r.wire(wire.Slot, ref)
			if err != nil {
				return nil, err
			}
			if found != nil {
				all = fill(all, wire.Slot, found, c.Passed)
				break
			}
		}
	}
	return all, nil
}

// fill adds inputs of a slot: in the place of those the task has for it, so
// that the primary input stays the first, else behind all.
func fill(all []job.Input, slot string, found []job.Input, replace bool) []job.Input {
	of := func(in job.Input) bool { return in.Slot == slot }
	if at := slices.IndexFunc(all, of); replace && at >= 0 && len(found) > 0 {
		return slices.Insert(slices.DeleteFunc(all, of), at, found...)
	}
	return append(all, found...)
}

// beside adds to the inputs of a segment what the segment of the same order in
// another fan-out gave.
func (r *round) beside(c *flow.Component, inputs []job.Input, order int) ([]job.Input, error) {
	inputs = slices.Clone(inputs)
	for _, wire := range c.Inputs {
		if !wire.Each() {
			continue
		}
		for _, ref := range wire.Refs {
			w, ok := r.view.Work.Get(SegmentID(EventID(r.step.Task.ID, r.view.Plan.Components[ref.Component].Name), order))
			if !ok || w.State != Succeeded {
				continue // left out, or of a list that is shorter
			}
			for _, o := range w.Outputs {
				inputs = append(inputs, job.Input{Slot: wire.Slot, Ref: o.Ref})
			}
			break
		}
	}
	return inputs, nil
}

// passed gives the task's own inputs to the function it names.
func (r *round) passed(f fn.Function) ([]job.Input, error) {
	refs := r.step.Task.Request.Inputs
	slots, err := f.Spec().Assign(len(refs))
	if err != nil {
		return nil, err
	}
	all := make([]job.Input, len(refs))
	for i := range refs {
		all[i] = job.Input{Slot: slots[i], Ref: refs[i]}
	}
	if len(all) > 0 {
		if all[0].Facts = r.infoOf(refs[0]); all[0].Facts == nil { // nobody could look at all of it yet
			all[0].Facts = r.saidOf(refs[0], "inspect.front")
		}
	}
	return all, nil
}

func (r *round) wire(slot string, ref flow.Ref) ([]job.Input, error) {
	if !ref.Files() {
		doc, err := r.raw(ref)
		if err != nil || doc == nil {
			return nil, err
		}
		return []job.Input{{Slot: slot, Doc: doc}}, nil
	}
	refs, ok := r.refs(ref)
	if !ok || len(refs) == 0 { // a component may give no file
		return nil, nil
	}
	found := make([]job.Input, len(refs))
	for i := range refs {
		found[i] = job.Input{Slot: slot, Ref: refs[i], Facts: r.infoOf(refs[i])}
	}
	if ref.Component >= 0 {
		objects, _ := r.files(ref.Component)
		for i := range found {
			if strings.Contains(objects[i].Name, "/") {
				found[i].Name = objects[i].Name
			}
		}
	}
	return found, nil
}

// refs are the files a reference means; false if it gives nothing.
func (r *round) refs(ref flow.Ref) ([]media.Ref, bool) {
	if ref.Component < 0 {
		all := r.step.Task.Request.Inputs
		if len(ref.Path) < 2 {
			return all, len(all) > 0
		}
		n, _ := strconv.Atoi(ref.Path[1])
		if n >= len(all) {
			return nil, false
		}
		return all[n : n+1], true
	}
	objects, ok := r.files(ref.Component)
	all := make([]media.Ref, len(objects))
	for i := range objects {
		all[i] = objects[i].Ref
	}
	return all, ok
}

// infoOf is what a probe of this task found of a file, in short: lists of
// keyframes and frames stay behind, since jobs travel.
func (r *round) infoOf(ref media.Ref) *media.Info { return r.saidOf(ref, "inspect.probe") }

func (r *round) saidOf(ref media.Ref, by string) *media.Info {
	for _, c := range r.view.Plan.Components {
		if c.Fn != by || len(c.Inputs) == 0 {
			continue
		}
		w, ok := r.view.Work.Get(EventID(r.step.Task.ID, c.Name))
		if !ok || w.State != Succeeded || !r.reads(c, ref) {
			continue
		}
		var info media.Info
		if json.Unmarshal(w.Facts, &info) != nil {
			return nil
		}
		for i := range info.Video {
			info.Video[i].FrameList = nil
			if info.Video[i].GOP != nil {
				info.Video[i].GOP.Keys = nil
			}
		}
		return &info
	}
	return nil
}

// reads reports whether the first file a component was given is the one at ref.
func (r *round) reads(c *flow.Component, ref media.Ref) bool {
	for _, from := range c.Inputs[0].Refs {
		if refs, ok := r.refs(from); ok {
			return len(refs) > 0 && refs[0] == ref
		}
	}
	return false
}

func (r *round) infos(inputs []job.Input) []*media.Info {
	infos := make([]*media.Info, len(inputs))
	for i := range inputs {
		infos[i] = inputs[i].Facts
	}
	return infos
}

// kinds tells Check what is known of the kinds of the inputs a caller gives;
// empty means unknown.
func (r *round) kinds(spec *fn.Spec, inputs []job.Input) []media.Kind {
	kinds := make([]media.Kind, 0, len(inputs))
	for i := range inputs {
		switch in := &inputs[i]; {
		case !spec.Asked(in.Slot):
		case in.Facts != nil:
			kinds = append(kinds, in.Facts.Kind)
		case in.Doc != nil:
			kinds = append(kinds, media.Text)
		default:
			kinds = append(kinds, "")
		}
	}
	return kinds
}

func (r *round) params(c *flow.Component) (json.RawMessage, error) {
	if c.From == nil {
		return c.Params, nil
	}
	return r.raw(*c.From)
}

func (r *round) part(ref flow.Ref) (*fn.Part, error) {
	raw, err := r.raw(ref)
	if err != nil {
		return nil, err
	}
	if raw == nil {
		return nil, errs.New(errs.Internal, "flow", "%s is not there", ref)
	}
	var p fn.Part
	if err := json.Unmarshal(raw, &p); err != nil {
		return nil, errs.New(errs.Internal, "flow", "%s is no part: %w", ref, err)
	}
	return &p, nil
}

// targets pairs every file of a result with a place the caller named. One
// place for several files is a folder: the files keep their own names in it.
func targets(places []media.Ref, files []job.Input) ([]media.Ref, error) {
	switch {
	case len(places) == len(files):
		return places, nil
	case len(places) == 1:
		all := make([]media.Ref, len(files))
		for i, name := range namesOf(files) {
			all[i] = places[0]
			all[i].Key = strings.TrimSuffix(all[i].Key, "/") + "/" + name
		}
		return all, nil
	}
	return nil, errs.InField("output_files", "%d places for %d files; give one a file, or one folder", len(places), len(files))
}

// namesOf gives files the names they have in a common folder: their own, and
// where several components or segments made files of one name, these come in
// folders of their own.
func namesOf(files []job.Input) []string {
	names := make([]string, len(files))
	count := map[string]int{}
	for i := range files {
		if names[i] = files[i].Name; names[i] == "" {
			names[i] = path.Base(files[i].Ref.Key)
		}
		count[names[i]]++
	}
	for i := range files {
		// TASK/COMPONENT[/ORDER]/TRACE/NAME
		parts := strings.Split(strings.TrimSuffix(files[i].Ref.Key, "/"+names[i]), "/")
		if count[names[i]] > 1 && len(parts) > 2 {
			names[i] = path.Join(append(parts[1:len(parts)-1:len(parts)-1], names[i])...)
		}
	}
	return names
}

// place decides where a component's files go: the results' bucket if they may
// leave as a part of the task's result or of a draft, else the segments', which
// are swept when the task ends.
func (r *round) place(c *flow.Component) job.Place {
	if c.Fn == job.Publish {
		return job.Place{}
	}
	p := job.Place{Cloud: r.Place.Cloud, Bucket: r.Place.Segments, Prefix: r.step.Task.ID + "/"}
	if p.Cache = true; r.view.Plan.Leaves(c) {
		p.Bucket, p.Cache = r.Place.Results, false // a result lives as long as results do
	}
	return p
}
