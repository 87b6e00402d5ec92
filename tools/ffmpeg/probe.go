package ffmpeg

import (
	"context"

	"github.com/mediafn/mediafn/core/errs"
	"github.com/mediafn/mediafn/core/media"
)

// ProbeOptions says how deep to look. The zero value reads headers and what
// FFmpeg decodes of its own accord to fill them in.
type ProbeOptions struct {
	Packets bool // read all packets: exact frame counts, keyframes, timing, VFR, FrameList where packets bear times
	Frames  bool // decode all pictures: their types in FrameList. Implies Packets.

	// Format is the sniffed format's name, where FFmpeg's demuxer covers
	// several (webm and matroska, m4a and mp4). "" = told by the demuxer.
	Format string

	// What ffprobe may touch.
	ReadPaths    []string
	ConnectPorts []uint16
	MaxMemory    int64
}

// Probe asks ffprobe about in. Seek, Duration and Loop of in do not matter.
// An input without any stream is Invalid.
func (t *Tool) Probe(ctx context.Context, in Input, opt ProbeOptions) (*media.Info, error) {
	open, name, err := in.open()
	if err != nil {
		return nil, err
	}
	if in.Path != "" {
		opt.ReadPaths = append([]string{in.Path}, opt.ReadPaths...)
	}
	ask := func(what ...string) ([]string, Job) {
		args := append([]string{"-hide_banner", "-loglevel", "level+warning"}, what...)
		return append(append(args, open...), "-i", name),
			Job{ReadPaths: opt.ReadPaths, ConnectPorts: opt.ConnectPorts, MaxMemory: opt.MaxMemory}
	}
	head := func(what ...string) (answer, error) {
		args, job := ask(append(what, "-of", "json")...)
		raw, err := t.output(ctx, t.ffprobe, args, job)
		if err != nil {
			return answer{}, errs.Wrap("probe", err)
		}
		a, err := parseAnswer(raw)
		if err != nil {
			return a, errs.New(errs.Internal, "probe", "ffprobe's answer: %w", err)
		}
		return a, nil
	}

	a, err := head("-show_format", "-show_streams", "-show_chapters")
	if err != nil {
		return nil, err
	}
	if len(a.Streams) == 0 {
		return nil, errs.New(errs.Invalid, "probe", "no streams found")
	}
	info := a.info(opt.Format)
	for i := range info.Video {
		v := &info.Video[i]
		if v.HDR != nil || v.Color.Transfer != "smpte2084" || v.Attached {
			continue
		}
		// Static metadata may be in the pictures only; one tells.
		first, err := head("-select_streams", itoa(v.Index), "-read_intervals", "%+#1",
			"-show_frames", "-show_entries", "frame=stream_index:frame_side_data_list")
		if err != nil {
			info.Warnings = append(info.Warnings, "first picture: "+err.Error())
			continue
		}
		if len(first.Frames) > 0 {
			v.HDR = hdr(first.Frames[0].SideData, v.Color.Transfer)
		}
	}
	if !opt.Packets && !opt.Frames {
		return info, nil
	}
	rows := newRowReader()
	args, job := ask("-of", "compact=p=0:nk=0", "-show_packets", "-show_entries", "packet=stream_index,pts,dts,duration,size,pos,flags")
	job.Stdout = rows
	if err := t.stream(ctx, t.ffprobe, args, job); err != nil {
		return nil, errs.Wrap("probe packets", err)
	}
	if opt.Frames {
		args, job := ask("-of", "compact=p=0:nk=0", "-select_streams", "v", "-show_frames",
			"-show_entries", "frame=stream_index,pts,best_effort_timestamp,pict_type,key_frame")
		job.Stdout = rows.frames()
		if err := t.stream(ctx, t.ffprobe, args, job); err != nil {
			return nil, errs.Wrap("probe frames", err)
		}
	}
	if rows.over {
		return nil, errs.New(errs.TooLarge, "probe", "more than %d packets", maxRows)
	}
	guess := map[int]media.Rational{}
	for _, s := range a.Streams {
		guess[s.Index] = rational(s.RFrameRate)
	}
	rows.apply(info, guess)
	return info, nil
}
