package render

import (
	"encoding/json"
	"math"

	"github.com/mediafn/mediafn/core/fn"
	"github.com/mediafn/mediafn/core/media"
	"github.com/mediafn/mediafn/functions/internal/encode"
	"github.com/mediafn/mediafn/functions/internal/source"
	"github.com/mediafn/mediafn/tools/ffmpeg/graph"
)

// graph.go: the way of the pictures from the decoder to the encoder.

// graph writes the filter graph from the source's pictures to [v].
func (o Order) graph(p *plan, chain encode.Chain, v *media.VideoStream) (string, error) {
	l := line{at: "0:" + itoa(v.Index)}
	l.add(chain.Before...)
	if o.Part != nil {
		// Picked by the source's own ticks: no rounding can lose or add one.
		l.add(between(from(o.Part), to(o.Part)))
	}
	if o.Work != nil {
		if encode.Full(v) {
			// Said, or a filter without formats of full range has it squeezed.
			l.add(graph.New("scale", "in_range", "pc", "out_range", "pc"))
		}
		l.through("taken", "worked", o.Work)
		if o.Part != nil && !o.Rate.Known() && overlaps(o.Part) {
			l.add(between(o.Part.Start, o.Part.End))
		}
	}
	l.add(chain.Filters...)
	if o.Part != nil && len(chain.Filters) == 0 { // behind others it would choose their formats
		// A source may change its size on the way. FFmpeg scales what comes later to
		// what it began with, of which this slice may not be; else this does nothing. A
		// changed shape of pixels stays, and the certificate finds it.
		l.add(graph.New("scale", "w", itoa(chain.Width), "h", itoa(chain.Height)))
	}
	l.add(o.Finish...)
	if o.Draw != nil {
		l.through("sized", "drawn", func(in, out string) graph.Graph { return o.Draw(in, out, chain.Width, chain.Height) })
	}
	if o.Rate.Known() {
		l.add(o.counted(p, v)...)
	} else {
		l.add(o.timed(p, v)...)
	}
	l.add(chain.Format)
	g := l.end("v")
	if err := g.Validate(); err != nil {
		return "", err
	}
	return g.String(), nil
}

// line is a graph that grows at its end.
type line struct {
	done    graph.Graph
	at      string // label the filters begin at
	filters []graph.Filter
}

func (l *line) add(filters ...graph.Filter) { l.filters = append(l.filters, filters...) }

// through goes on behind what draw writes between two labels.
func (l *line) through(in, out string, draw func(in, out string) graph.Graph) {
	l.done = append(l.end(in), draw(in, out)...)
	l.at, l.filters = out, nil
}

func (l *line) end(label string) graph.Graph {
	if len(l.filters) == 0 {
		l.add(graph.New("null"))
	}
	return append(l.done, graph.Chain{In: []string{l.at}, Filters: l.filters, Out: []string{label}})
}

// from and to are what a part processes. One that was planned without overlaps
// in mind says nothing of them.
func from(p *fn.Part) int64 {
	if p.To == 0 {
		return p.Start
	}
	return p.From
}

func to(p *fn.Part) int64 { return max(p.To, p.End) }

func overlaps(p *fn.Part) bool { return from(p) < p.Start || to(p) > p.End }

// between passes the frames from one tick up to another.
func between(from, to int64) graph.Filter {
	return graph.New("select", "expr", "gte(pts,"+int64s(from)+")*lt(pts,"+int64s(to)+")")
}

// timed are the filters that give the frames their times: the source's, or a grid
// of the rate the caller wants.
func (o Order) timed(p *plan, v *media.VideoStream) (back []graph.Filter) {
	rate := o.Params.Rate()
	first := o.first(v)
	switch {
	case rate.Known() && o.trimmed():
		// Zero is the cut: the first frame may lie behind it, and the sound with it.
		late := !source.Indexed(o.Info) && o.Start > 0 // cut behind the filters
		if late {
			back = append(back, graph.New("setpts", "expr", "PTS-"+float(o.Start)+"/TB"))
		}
		back = append(back, graph.New("fps", "fps", rate.String(), "start_time", "0"), graph.New("settb", "expr", "1/"+itoa(tick)))
		if late {
			back = append(back, graph.New("setpts", "expr", "PTS+"+float(o.Start)+"/TB"))
		}
	case rate.Known():
		// The grid begins at the first frame, sliced or not: slices are cut
		// where it falls on a frame.
		back = append(back, graph.New("setpts", "expr", "PTS-STARTPTS"))
		length, missing := int64(0), "-1"
		if o.Part != nil {
			length = o.Part.End - o.Part.Start
		} else if t := v.Timing; t != nil && !t.EditList && !t.Discontinue && listed(o.Info) {
			length, missing = t.LastPTS+t.LastDur-t.FirstPTS, "1"
		}
		change := graph.New("fps", "fps", rate.String())
		if length > 0 {
			// FFmpeg's demuxer shortens the last picture of an mp4 track that starts
			// late: the rate filter must not leave it out, and the length is counted.
			p.Frames = int64(math.Round(v.TimeBase.Seconds(length) * rate.Float()))
			back = append(back, change.With("eof_action", "pass"), graph.New("tpad", "stop_mode", "clone", "stop", missing),
				graph.New("trim", "end_frame", int64s(p.Frames)))
		} else {
			back = append(back, change)
		}
		back = append(back, graph.New("settb", "expr", "1/"+itoa(tick)))
		if at := int64(math.Round((v.TimeBase.Seconds(first) - o.origin()) * tick)); o.Part == nil && at != 0 {
			back = append(back, graph.New("setpts", "expr", "PTS+"+int64s(at)))
		}
	case o.Part != nil:
		p.Frames = o.Part.Frames
		back = append(back, graph.New("setpts", "expr", "PTS-STARTPTS"))
	default:
		p.Frames = 0
		if !o.trimmed() {
			p.Frames = v.Frames
		}
	}
	return back
}

// counted are the filters that choose, of frames that lie on the grid of Rate from
// the first one processed, those of the range, and give them the grid's times.
func (o Order) counted(p *plan, v *media.VideoStream) []graph.Filter {
	frames := func(ticks int64) int64 { return int64(math.Round(v.TimeBase.Seconds(ticks) * o.Rate.Float())) }
	head, shift := int64(0), int64(0)
	if o.Part != nil {
		head = frames(o.Part.Start - from(o.Part))
		p.Frames = frames(o.Part.End - o.Part.Start)
	} else {
		p.Frames = frames(v.Timing.LastPTS + max(v.Timing.LastDur, 1) - v.Timing.FirstPTS)
		shift = int64(math.Round(v.TimeBase.Seconds(o.first(v)) * tick))
	}
	back := []graph.Filter{graph.New("trim", "start_frame", int64s(head), "end_frame", int64s(head+p.Frames)),
		// By number: the grid's instants are no whole numbers of every time base.
		graph.New("settb", "expr", "1/"+itoa(tick)), graph.New("setpts", "expr", "round(N*"+itoa(tick)+"*"+int64s(o.Rate.Den)+"/"+int64s(o.Rate.Num)+")")}
	if shift != 0 {
		back = append(back, graph.New("setpts", "expr", "PTS+"+int64s(shift)))
	}
	return back
}

// removed are the facts of a part with an overlap: how many of the source's frames
// were processed before and behind its own, and left out of the result.
func removed(p *fn.Part) json.RawMessage {
	if p == nil || p.Stream != fn.Pictures || !overlaps(p) {
		return nil
	}
	facts, _ := json.Marshal(map[string][2]int64{"remove_frames": {p.DropHead, p.DropTail}})
	return facts
}

// listed reports whether the container's tables list every picture.
func listed(info *media.Info) bool {
	switch info.Format {
	case "mp4", "mov", "m4v", "3gp":
		return true
	}
	return false
}
