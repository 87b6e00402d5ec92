package render

import (
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/mediafn/mediafn/core/errs"
	"github.com/mediafn/mediafn/core/fn"
	"github.com/mediafn/mediafn/tools/ffmpeg"
)

// key.go: what a rendered file is computed from, under which it is kept and found
// again (fn.Output.Key).

// key is everything the file of a plan depends on, as text: the ffmpeg that runs,
// its command line with what it reads named by content instead of place, the
// files it is given, and what else fills the call's slots. Slots the plan does not
// look at (Unused) don't count. It is empty, and nothing is kept, if something has
// no name: a server that gives no versions, an ffmpeg that does not start.
func (o Order) key(build string, call *fn.Call, p *plan) string {
	if build == "" {
		return ""
	}
	text := []string{build, o.Depends}
	names := map[string]string{} // by place
	for i := range call.Inputs {
		in := &call.Inputs[i]
		switch {
		case slices.Contains(o.Unused, in.Slot):
		case in.Doc != nil:
			text = append(text, in.Slot+" = "+string(in.Doc))
		case in.Identity == "":
			return ""
		default:
			names[in.Location] = in.Slot
			text = append(text, in.Slot+" = "+in.Identity)
		}
	}
	for i, f := range o.Files {
		text = append(text, FileName(i)+" = "+f)
	}
	source := call.In("source")
	if source == nil {
		return ""
	}
	o.Extra = slices.Clone(o.Extra)
	for i := range o.Extra {
		name, known := names[o.Extra[i].Path+o.Extra[i].URL] // one of them is empty
		if !known {
			return ""
		}
		o.Extra[i].Path, o.Extra[i].URL = name, ""
	}
	args, err := o.argv(p, ffmpeg.Input{Path: "source", Demuxer: source.Demuxer}, "")
	if err != nil {
		return ""
	}
	return strings.Join(append(text, args...), "\n")
}

// recall lists the order's files, with those that are kept from earlier calls,
// and leaves in the order what has to be computed. Renditions are known one by
// one: each is what it would be without the others.
func (o Order) recall(build string, call *fn.Call) (Order, []fn.Output, error) {
	ones := []Order{o}
	if call.Stored != nil && o.Part != nil && len(o.Ladder) > 0 && o.Part.Stream == fn.Pictures {
		ones = nil
		for i := range o.Ladder {
			one := o
			one.Ladder = o.Ladder[i : i+1]
			ones = append(ones, one)
		}
	}
	var all []fn.Output
	var missing []Rendition
	for _, one := range ones {
		p, err := one.plan()
		if err != nil {
			return o, nil, err
		}
		outs := one.outputs(p, call.Dir)
		if call.Stored != nil && len(outs) == 1 {
			outs[0].Key = one.key(build, call, p)
			if found, ok := call.LookUp(outs[0].Key); ok {
				outs[0].Object = &found
			}
		}
		if outs[0].Object == nil {
			missing = append(missing, one.Ladder...)
		}
		all = append(all, outs...)
	}
	if len(missing) > 0 {
		o.Ladder = missing
	}
	return o, all, nil
}

// write puts the order's files into the call's folder, where ffmpeg runs and
// finds them by name.
func (o Order) write(dir string) error {
	for i, f := range o.Files {
		if err := os.WriteFile(filepath.Join(dir, FileName(i)), []byte(f), 0o600); err != nil {
			return errs.New(errs.Transient, "video", "%w", err)
		}
	}
	return nil
}

// FileName is what the i-th of an order's files is called.
func FileName(i int) string { return "file" + itoa(i) }
