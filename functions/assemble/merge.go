package assemble

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/mediafn/mediafn/core/errs"
	"github.com/mediafn/mediafn/core/fn"
	"github.com/mediafn/mediafn/core/media"
	"github.com/mediafn/mediafn/core/slice"
	"github.com/mediafn/mediafn/functions/internal/coded"
	"github.com/mediafn/mediafn/functions/internal/encode"
	"github.com/mediafn/mediafn/functions/internal/source"
	"github.com/mediafn/mediafn/tools/ffmpeg"
)

// merge.go: assemble.merge makes one file of the slices of a plan.

var mergeSpec = fn.Spec{
	Name:    "assemble.merge",
	Version: "1",
	Summary: "Merge processed slices and the sound into one file",
	Doc: "Joins the slices' pictures in order by copying, at the times the plan promises — never at measured ones, which drift — and muxes the sound, " +
		"the source's tags, chapters and subtitles in the same pass. The first timestamp is that of the source. " +
		"Slices whose parameter sets differ are joined all the same, with the sets repeated in the stream; the certificate tells. " +
		"Where one could not be decoded the result is without pictures, which the certificate tells as well. " +
		"Where every slice gives several renditions, each becomes a file, and the sound goes into the first.",
	Inputs: []fn.Slot{
		{Name: "slices", Kinds: []media.Kind{media.Video}, Min: 1, Help: "the slices, in order, all renditions of each"},
		{Name: "sound", Kinds: []media.Kind{media.Audio, media.Video}, Max: 1, Help: "all sound, on the source's time line"},
		{Name: "source", Kinds: []media.Kind{media.Video}, Min: 1, Max: 1, Help: "tags, chapters and subtitles are taken from it"},
		{Name: "plan", Kinds: []media.Kind{media.Text}, Min: 1, Max: 1, Help: "the facts of slice.plan"},
	},
	Outputs: []fn.Slot{{Name: "video", Kinds: []media.Kind{media.Video}, Min: 1, Help: "the whole, of each rendition"}},
	Purity:  fn.Equivalent,
	Timeout: fn.Timeout{Base: 2 * time.Minute, Factor: 20},
	Hidden:  true,
}

type mergeParams struct{}

// MergeFacts is the facts object of assemble.merge.
type MergeFacts struct {
	Slices        int      `json:"slices"`
	Container     string   `json:"container"`
	ParameterSets string   `json:"parameter_sets"` // equal | different
	LeftOut       []string `json:"left_out"`       // tracks of the source the container cannot hold
	Warnings      []string `json:"warnings"`       // of the muxer
}

// Merge returns assemble.merge. Without ffmpeg the function loads but refuses.
func Merge(ff *ffmpeg.Tool) fn.Function {
	return fn.Define(source.Needs(ff, mergeSpec), fn.Body[mergeParams]{
		Price: func(_ *mergeParams, inputs []*media.Info) fn.Price { return priceCopy(inputs) },
		Run: func(ctx fn.Context, call *fn.Call, _ *mergeParams) (*fn.Result, error) {
			return runMerge(ctx, ff, call)
		},
	})
}

// priceCopy: copying runs at about 150 MB/s, twice, since the index is moved
// to the front; 0.5 s for starting.
func priceCopy(inputs []*media.Info) fn.Price {
	p := fn.Price{CPUSeconds: 0.5, Memory: 192 << 20} // copying waits for the disk, not for a core
	for _, i := range inputs {
		if i != nil {
			p.CPUSeconds += float64(i.Size) / 75e6
		}
	}
	return p
}

func runMerge(ctx fn.Context, ff *ffmpeg.Tool, call *fn.Call) (*fn.Result, error) {
	var plan slice.Plan
	if err := call.Document("plan", &plan); err != nil {
		return nil, err
	}
	names := make([]string, max(len(plan.Assembly.Renditions), 1))
	for i, r := range plan.Assembly.Renditions {
		names[i] = r.Name
	}
	all := call.All("slices")
	if !plan.Sliced || plan.Promise == nil || len(all) != len(plan.Segments)*len(names) {
		return nil, errs.New(errs.Internal, "assemble", "%d slices for a plan of %d in %d rendition(s)", len(all), len(plan.Segments), len(names))
	}
	if plan.HasSound && call.In("sound") == nil {
		return nil, errs.New(errs.Internal, "assemble", "the plan has sound and none was given")
	}
	info, err := source.Facts(ctx, ff, nil, call.In("source"), source.Want{})
	if err != nil {
		return nil, errs.Wrap("source", err)
	}
	facts := MergeFacts{Slices: len(plan.Segments), Container: plan.Assembly.Container, ParameterSets: "equal", LeftOut: []string{}, Warnings: []string{}}
	res := &fn.Result{}
	for i, name := range names {
		j := joining{ff: ff, call: call, plan: &plan, info: info, name: name, share: 1 / float64(len(names)), done: float64(i) / float64(len(names))}
		for n := i; n < len(all); n += len(names) {
			j.slices = append(j.slices, all[n])
		}
		if i == 0 {
			j.sound = call.In("sound")
		}
		out, usage, err := j.run(ctx, &facts)
		if err != nil {
			return nil, errs.Wrap(strings.TrimSpace("merge "+name), err)
		}
		res.Outputs, res.Usage = append(res.Outputs, out), res.Usage.Add(usage)
	}
	if res.Facts, err = json.Marshal(facts); err != nil {
		return nil, errs.New(errs.Internal, "assemble", "encode facts: %w", err)
	}
	return res, nil
}

// joining is the merge of one rendition.
type joining struct {
	ff     *ffmpeg.Tool
	call   *fn.Call
	plan   *slice.Plan
	info   *media.Info // of the source
	name   string      // of the rendition; empty = the only one
	slices []*fn.Input
	sound  *fn.Input // nil = none
	done   float64   // of the whole work, before this
	share  float64   // of the whole work, this
}

func (j joining) run(ctx fn.Context, facts *MergeFacts) (fn.Output, fn.Usage, error) {
	none := func(err error) (fn.Output, fn.Usage, error) { return fn.Output{}, fn.Usage{}, err }
	out, err := fileOf(j.plan.Assembly.Container)
	if err != nil {
		return none(err)
	}
	if j.name != "" {
		out.name = j.name + filepath.Ext(out.name)
	}
	path := filepath.Join(j.call.Dir, out.name)
	if lost, err := undecoded(j.slices); err != nil || lost > 0 {
		if err == nil {
			facts.Warnings = append(facts.Warnings, fmt.Sprintf("%d of %d slices could not be decoded: nothing was merged", lost, len(j.slices)))
			err = errs.As(errs.Transient, "assemble", os.WriteFile(path, coded.Void, 0o600))
		}
		return out.output(path), fn.Usage{}, err
	}
	equal, first, err := sameSets(ctx, j.ff, j.slices)
	if err != nil {
		return none(err)
	}
	if !equal {
		facts.ParameterSets = "different"
	}
	promise := j.plan.Promise
	job := ffmpeg.Job{WritePaths: []string{j.call.Dir}, Dir: j.call.Dir, Stall: 5 * time.Minute,
		Duration: promise.TimeBase.Seconds(promise.EndPTS - promise.FirstPTS),
		Progress: func(p ffmpeg.Progress) {
			j.call.Report(fn.Progress{Done: j.done + j.share*p.Percent/100, Frames: p.Frames, Speed: p.Speed})
		}}
	args, left, err := j.args(ctx, &job, !equal)
	if err != nil {
		return none(err)
	}
	if first.Rotation != 0 {
		// The demuxer of lists drops the display matrix; on copies FFmpeg sets it against the clock.
		args = append(args, "-metadata:s:v:0", "rotate="+strconv.Itoa(360-first.Rotation))
	}
	if c := j.plan.Assembly.Color; c != nil && c.ChromaLoc != "" && first.Color.ChromaLoc == "" && out.muxer != "mp4" && out.muxer != "mov" {
		args = append(args, "-chroma_sample_location:v:0", c.ChromaLoc) // VP9 keeps it in Matroska only
	}
	if !promise.Rate.Known() {
		args = append(args, encode.LastPicture(j.ff.Version(), out.container, promise.Scale, promise.TimeBase, promise.Frames, promise.LastPTS-promise.FirstPTS, promise.EndPTS-promise.FirstPTS)...)
	}
	job.Args = append(args, out.args(promise.Scale, path)...)
	stats, err := j.ff.Run(ctx, job)
	if err != nil {
		return none(err)
	}
	for _, what := range left {
		if !slices.Contains(facts.LeftOut, what) {
			facts.LeftOut = append(facts.LeftOut, what)
		}
	}
	facts.Warnings = append(facts.Warnings, stats.Warnings...)
	return out.output(path), usageOf(stats), nil
}

// args is the command line up to the options of the output.
func (j joining) args(ctx fn.Context, job *ffmpeg.Job, inBand bool) (args, left []string, err error) {
	plan := j.plan
	offsets := slice.Offsets(plan.Segments)
	at := make([]float64, len(offsets))
	for i, o := range offsets {
		at[i] = float64(o) / float64(plan.Promise.Scale)
	}
	durations := micros(at)
	var pieces []piece
	for i, in := range j.slices {
		pieces = append(pieces, piece{in: in, duration: durations[i]})
	}
	list, err := row(job, j.call.Dir, pieces, plan.Promise.TimeBase.Seconds(plan.Promise.FirstPTS), inBand)
	if err != nil {
		return nil, nil, err
	}
	args = append([]string{"-copyts"}, list...)
	maps, next := []string{"-map", "0:v:0"}, 1
	if j.sound != nil {
		in, err := source.Open(j.sound).Args()
		if err != nil {
			return nil, nil, err
		}
		source.Grant(job, j.sound)
		from, err := soundOf(ctx, j.ff, j.sound)
		if err != nil {
			return nil, nil, errs.Wrap("sound", err)
		}
		open, tracks, n := from.tracks(plan.Assembly.Container, next, 0, in)
		args, maps, next = append(args, open...), append(maps, tracks...), next+n
		for i, a := range from.info.Audio {
			if a.Language != "" && plan.Assembly.DropTags { // what is spoken stays true
				maps = append(maps, fmt.Sprintf("-metadata:s:a:%d", i), "language="+a.Language)
			}
		}
	}
	in, err := source.Open(j.call.In("source")).Args()
	if err != nil {
		return nil, nil, err
	}
	source.Grant(job, j.call.In("source"))
	if plan.Shift != 0 { // of chapters and subtitles, as the copy that was sliced
		args = append(args, "-itsoffset", fmt.Sprintf("%.6f", plan.Shift))
	}
	args = append(args, in...)
	maps = append(maps, "-c", "copy")
	extras, left := files[plan.Assembly.Container].extras(j.info, next, plan.Assembly)
	return append(append(args, maps...), extras...), left, nil
}

// undecoded counts the slices that hold no pictures (coded.Void). Then the
// result holds none either, and the certificate says so.
func undecoded(all []*fn.Input) (n int, err error) {
	for i, in := range all {
		void, err := coded.IsVoid(in.Data, in.Size)
		if err != nil {
			return 0, errs.Wrap("slice "+strconv.Itoa(i), err)
		}
		if void {
			n++
		}
	}
	return n, nil
}

// sameSets reports whether all slices are coded with the same parameter sets,
// and what the first one's picture track is.
func sameSets(ctx fn.Context, ff *ffmpeg.Tool, slices []*fn.Input) (equal bool, v *media.VideoStream, err error) {
	info, err := source.Facts(ctx, ff, nil, slices[0], source.Want{})
	if err != nil {
		return false, nil, errs.Wrap("slice 0", err)
	}
	if v = info.MainVideo(); v == nil {
		return false, nil, errs.New(errs.Invalid, "slice 0", "no picture track")
	}
	var first coded.Tables
	for i, in := range slices {
		t, err := coded.MP4(in.Data, in.Size)
		if err != nil {
			return false, nil, errs.Wrap("slice "+strconv.Itoa(i), err)
		}
		if i == 0 {
			first = t
		} else if t.Entry != first.Entry || !bytes.Equal(t.Config, first.Config) {
			return false, v, nil
		}
	}
	return true, v, nil
}

// progress passes ffmpeg's reports on.
func progress(call *fn.Call) func(ffmpeg.Progress) {
	return func(p ffmpeg.Progress) {
		call.Report(fn.Progress{Done: p.Percent / 100, Frames: p.Frames, Speed: p.Speed})
	}
}

// result is a finished file with its facts.
func result(out file, path string, facts any, s ffmpeg.Stats) (*fn.Result, error) {
	raw, err := json.Marshal(facts)
	if err != nil {
		return nil, errs.New(errs.Internal, "assemble", "encode facts: %w", err)
	}
	return &fn.Result{Outputs: []fn.Output{out.output(path)}, Facts: raw, Usage: usageOf(s)}, nil
}

func (f file) output(path string) fn.Output {
	return fn.Output{Slot: "video", Name: f.name, Path: path, Kind: media.Video, Mime: f.mime}
}

func usageOf(s ffmpeg.Stats) fn.Usage {
	return fn.Usage{CPUSeconds: (s.User + s.System).Seconds(), WallSeconds: s.Wall.Seconds(), MaxMemory: s.MaxRSS, OutputDuration: s.OutTime.Seconds()}
}
