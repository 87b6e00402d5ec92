package render

import (
	"github.com/mediafn/mediafn/core/errs"
	"github.com/mediafn/mediafn/core/media"
	"github.com/mediafn/mediafn/core/slice"
	"github.com/mediafn/mediafn/functions/internal/encode"
	"github.com/mediafn/mediafn/functions/internal/source"
	"github.com/mediafn/mediafn/tools/ffmpeg/graph"
)

// ladder.go: several encodes of what is decoded once.

// Rendition is one of several files.
type Rendition struct {
	Name   string         // of the file, without its extension
	Params *encode.Params // of the pictures; all of a ladder agree in deinterlace
}

// ladder is the run that makes all renditions: the pictures are decoded,
// deinterlaced and picked once, then split. Frame times are the source's.
func (o Order) ladder(v *media.VideoStream) (*plan, error) {
	if o.trimmed() || o.Params.Rate().Known() {
		return nil, errs.New(errs.Internal, "video", "renditions are of the whole source, at its frame rate")
	}
	p := &plan{Copyts: !o.settled()}
	shared := graph.Chain{In: []string{"0:" + itoa(v.Index)}}
	all := graph.Graph{shared}
	chains := make([]encode.Chain, len(o.Ladder))
	for i, r := range o.Ladder {
		chain, err := r.Params.Picture().Plan(v, r.Params.Video())
		if err != nil {
			return nil, err
		}
		chains[i] = chain
		from, to := "s"+itoa(i), "v"+itoa(i)
		shared.Out = append(shared.Out, from)
		all = append(all, graph.Chain{In: []string{from}, Filters: append(chain.Filters, chain.Format), Out: []string{to}})
	}
	shared.Filters = append(shared.Filters, chains[0].Before...)
	if o.Part != nil {
		shared.Filters = append(shared.Filters, between(o.Part.Start, o.Part.End), graph.New("setpts", "expr", "PTS-STARTPTS"))
		p.Frames = o.Part.Frames
	} else {
		p.Frames = v.Frames
	}
	shared.Filters = append(shared.Filters, graph.New("split", "outputs", itoa(len(o.Ladder))))
	all[0] = shared
	if err := all.Validate(); err != nil {
		return nil, err
	}
	head := []string{"-filter_complex", all.String(), "-filter_complex_threads", itoa(max(o.Threads, 1))}
	for i, r := range o.Ladder {
		f, err := o.rendition(p, v, i, r, chains[i])
		if err != nil {
			return nil, err
		}
		if i == 0 {
			p.Args, p.Output = append(head, f.Args...), f.Name
		} else {
			p.More = append(p.More, f)
		}
	}
	return p, nil
}

// languages says those of the sound tracks again, which go with all other tags.
func (o Order) languages() (args []string) {
	if o.Params.AudioCodec == "none" {
		return nil
	}
	for i, a := range o.Info.Audio {
		if a.Language != "" {
			args = append(args, "-metadata:s:a:"+itoa(i), "language="+a.Language)
		}
	}
	return args
}

// rendition is one output of the run. Its track counts in ticks that hold the
// source's, so that all files agree in every time.
func (o Order) rendition(p *plan, v *media.VideoStream, i int, r Rendition, chain encode.Chain) (file, error) {
	one := o
	one.Params, one.Ladder, one.name = r.Params, nil, r.Name
	scratch := &plan{Copyts: true, Frames: p.Frames}
	scratch.Args = append(scratch.Args, "-map", "[v"+itoa(i)+"]")
	if o.Part != nil {
		one.pictures(scratch, v, len(chain.Before) > 0)
	} else {
		scratch.Length = o.Info.Duration
		if i == 0 {
			o.soundArgs(scratch)
			scratch.Args = append(scratch.Args, o.languages()...)
		} else {
			scratch.Args = append(scratch.Args, "-an")
		}
		scratch.Args = append(scratch.Args, "-sn", "-dn", "-map_metadata", "-1", "-map_chapters", "-1",
			"-video_track_timescale", int64s(slice.Scale(v.TimeBase)), "-movie_timescale", itoa(tick))
	}
	scratch.Args = append(scratch.Args, "-vsync", "passthrough", "-enc_time_base:v", encodeBase(v, o.Part))
	scratch.Args = append(scratch.Args, one.video(r.Params, v).Args(o.Threads, chain.Width, chain.Tags, chain.HDR, "mp4")...)
	if shift := source.Shift(o.Info); o.Part == nil && p.Copyts && shift != 0 {
		scratch.Args = append(scratch.Args, "-output_ts_offset", float(shift))
	}
	scratch.Args = append(scratch.Args, "-f", "mp4", "-max_muxing_queue_size", "4096")
	p.Seek, p.Length = scratch.Seek, scratch.Length
	return file{Name: r.Name + ".mp4", Args: scratch.Args}, nil
}
