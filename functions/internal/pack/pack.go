// Package pack makes of renditions what players stream: CMAF tracks whose
// segments begin at the same instants, and manifests of them for HLS (RFC 8216,
// version 7) and DASH (ISO/IEC 23009-1). Both speak of the same files. Nothing
// is decoded or encoded.
package pack

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/text/language"
	"golang.org/x/text/language/display"

	"github.com/mediafn/mediafn/core/errs"
	"github.com/mediafn/mediafn/core/fn"
	"github.com/mediafn/mediafn/core/media"
	"github.com/mediafn/mediafn/tools/container"
	"github.com/mediafn/mediafn/tools/container/isobmff"
	"github.com/mediafn/mediafn/tools/ffmpeg"
)

const op = "pack"

// Order is what is to be packaged.
type Order struct {
	// Renditions are mp4 files of the same pictures; the first has the sound.
	Renditions []Rendition
	How        fn.Packaging
	Seconds    float64 // of a segment, at least
	Dir        string  // where files are written

	// Source is what the renditions were made of; its subtitles are written too,
	// by FFmpeg. nil = none.
	Source *fn.Input
	Info   *media.Info // of it
	FFmpeg *ffmpeg.Tool
}

// Rendition is one file.
type Rendition struct {
	Name  string
	Data  io.ReaderAt
	Size  int64
	Color media.Color // of its pictures
}

// Facts is what a package is, for whoever asked for it.
type Facts struct {
	Duration  float64      `json:"duration"` // seconds
	Segments  int          `json:"segments"`
	HLS       string       `json:"hls,omitempty"`  // the manifest's name
	DASH      string       `json:"dash,omitempty"` // the manifest's name
	Video     []TrackFacts `json:"video"`
	Audio     []TrackFacts `json:"audio"`
	Subtitles []TrackFacts `json:"subtitles,omitempty"`
	Layout    string       `json:"layout"`          // ranges | files
	MaxLength float64      `json:"longest_segment"` // seconds
}

// TrackFacts is one track of a package. Rates are bit/s of the segments as they are.
type TrackFacts struct {
	Name      string `json:"name"`
	Codecs    string `json:"codecs"`
	Width     int    `json:"width,omitempty"`
	Height    int    `json:"height,omitempty"`
	Channels  int    `json:"channels,omitempty"`
	Language  string `json:"language,omitempty"`
	Bandwidth int64  `json:"bandwidth"`         // of the dearest stretch of about a segment's length
	Average   int64  `json:"average_bandwidth"` // of all
	Bytes     int64  `json:"bytes"`
}

// Write packages. The outputs are for the slot "package", named relative to
// each other, manifests first.
func Write(ctx context.Context, o Order) ([]fn.Output, json.RawMessage, error) {
	p := &packing{Order: o}
	if err := p.read(ctx); err != nil {
		return nil, nil, err
	}
	if err := p.cut(); err != nil {
		return nil, nil, err
	}
	for _, t := range p.tracks() {
		if err := p.write(ctx, t); err != nil {
			return nil, nil, err
		}
	}
	if err := p.texts(ctx); err != nil {
		return nil, nil, err
	}
	if err := p.manifests(); err != nil {
		return nil, nil, err
	}
	raw, err := json.Marshal(p.facts())
	if err != nil {
		return nil, nil, errs.New(errs.Internal, op, "encode facts: %w", err)
	}
	return append(p.heads, p.files...), raw, nil
}

// packing is the work on one package.
type packing struct {
	Order
	video, audio []*track
	subtitles    []text
	total        float64        // seconds from the first picture to the end of the last
	rate         media.Rational // frames a second; unknown where it is not constant
	heads, files []fn.Output
}

// track is one track on its way.
type track struct {
	isobmff.Track
	spoken
	data     io.ReaderAt
	path     string // of its files, relative, without an extension: "video/720p"
	color    media.Color
	origin   int64 // ticks of the file's time line where the package's begins
	skip     int64 // ticks decoded in front and not presented
	segments []segment
	init     int64 // bytes
	index    int64 // bytes of the segment index behind it; 0 = there is none
}

// segment is a stretch of a track's samples, in decode order.
type segment struct {
	from, to int    // samples
	start    int64  // presentation time, ticks of the package's time line
	dur      int64  // ticks presented
	at, size int64  // bytes, and where they begin in the track's file
	entry    int64  // bytes up to the end of the first sample
	name     string // of its file; empty = in the track's
}

func (t *track) seconds(ticks int64) float64 { return float64(ticks) / float64(t.Timescale) }

func (p *packing) tracks() []*track { return append(p.video[:len(p.video):len(p.video)], p.audio...) }

// read reads the tables of all renditions.
func (p *packing) read(ctx context.Context) error {
	limits := container.DefaultLimits
	for i, r := range p.Renditions {
		all, err := isobmff.Tracks(ctx, r.Data, r.Size, isobmff.Options{MaxTable: 4 * limits.Table, MaxSamples: 4 * limits.Samples, MaxRead: 2*r.Size + 64<<20})
		if err != nil {
			return errs.Wrap("rendition "+r.Name, err)
		}
		pictures := 0
		for _, t := range all {
			one := &track{Track: t, data: r.Data}
			switch {
			case len(t.Samples) == 0:
			case t.Handler == "vide" && pictures == 0:
				pictures++
				one.name, one.path, one.color = r.Name, "video/"+r.Name, r.Color
				p.video = append(p.video, one)
			case t.Handler == "soun" && i == 0:
				p.sound(one)
			}
		}
		if pictures == 0 {
			return errs.New(errs.Invalid, op, "rendition %s has no pictures", r.Name)
		}
	}
	if len(p.video) == 0 {
		return errs.New(errs.Invalid, op, "there is nothing to package")
	}
	return nil
}

// sound takes a sound track in, under its language.
func (p *packing) sound(t *track) {
	n := len(p.audio)
	code := t.Language
	if n < len(p.How.Languages) && p.How.Languages[n] != "" {
		code = p.How.Languages[n]
	}
	t.spoken = called(n, code, t.Title, "Sound", func(label string) bool {
		return slices.ContainsFunc(p.audio, func(other *track) bool { return other.label == label })
	})
	t.path = "audio/" + t.name
	p.audio = append(p.audio, t)
}

// spoken is what a track in some language is called.
type spoken struct {
	name  string // of its files: "1-en"; of pictures that of the rendition
	lang  string // RFC 5646; empty = not known
	label string // for people
}

// called finds names for the n-th track in a language. Labels of a group differ
// (RFC 8216 §4.3.4.1.1).
func called(n int, code, title, what string, taken func(string) bool) spoken {
	s := spoken{name: fmt.Sprint(n + 1), label: title}
	if tag, err := language.Parse(code); err == nil && code != "" && tag != language.Und {
		s.lang = tag.String()
		s.name += "-" + s.lang
		if s.label == "" {
			s.label = display.Self.Name(tag)
		}
	}
	if s.label == "" {
		s.label = fmt.Sprint(what, " ", n+1)
	} else if taken(s.label) {
		s.label += fmt.Sprint(" ", n+1)
	}
	return s
}

// output adds a finished file.
func (p *packing) output(to *[]fn.Output, name, mime string) {
	*to = append(*to, fn.Output{Slot: "package", Name: name, Path: filepath.Join(p.Dir, filepath.FromSlash(name)), Kind: media.Package, Mime: mime})
}

// text writes a manifest.
func (p *packing) text(to *[]fn.Output, name, mime, content string) error {
	if err := os.WriteFile(p.file(name), []byte(content), 0o600); err != nil {
		return errs.As(errs.Transient, op, err)
	}
	p.output(to, name, mime)
	return nil
}

func (p *packing) file(name string) string { return filepath.Join(p.Dir, filepath.FromSlash(name)) }

const (
	masterName = "master.m3u8"
	mpdName    = "manifest.mpd"
	mimeHLS    = "application/vnd.apple.mpegurl"
	mimeDASH   = "application/dash+xml"
)

// manifests writes what speaks of the tracks.
func (p *packing) manifests() error {
	if p.How.HLS {
		if err := p.text(&p.heads, masterName, mimeHLS, p.master()); err != nil {
			return err
		}
	}
	if p.How.DASH {
		text, err := p.mpd()
		if err != nil {
			return err
		}
		if err := p.text(&p.heads, mpdName, mimeDASH, text); err != nil {
			return err
		}
	}
	if !p.How.HLS {
		return nil
	}
	for _, t := range p.tracks() {
		if err := p.text(&p.heads, t.path+".m3u8", mimeHLS, t.playlist()); err != nil {
			return err
		}
		if t.Handler == "vide" {
			if err := p.text(&p.heads, t.path+"-entries.m3u8", mimeHLS, t.entries()); err != nil {
				return err
			}
		}
	}
	for _, s := range p.subtitles {
		if err := p.text(&p.heads, s.path+".m3u8", mimeHLS, s.list(p.total)); err != nil {
			return err
		}
	}
	return nil
}

func (p *packing) facts() Facts {
	f := Facts{Duration: p.total, Segments: len(p.video[0].segments), Layout: "ranges", Video: []TrackFacts{}, Audio: []TrackFacts{}}
	if p.How.Files {
		f.Layout = "files"
	}
	if p.How.HLS {
		f.HLS = masterName
	}
	if p.How.DASH {
		f.DASH = mpdName
	}
	for _, s := range p.video[0].segments {
		f.MaxLength = max(f.MaxLength, p.video[0].seconds(s.dur))
	}
	of := func(t *track) TrackFacts {
		peak, average := t.rates()
		bytes := t.init + t.index
		for _, s := range t.segments {
			bytes += s.size
		}
		return TrackFacts{Name: t.name, Codecs: t.Codecs, Width: t.Width, Height: t.Height, Channels: t.Channels, Language: t.lang,
			Bandwidth: peak, Average: average, Bytes: bytes}
	}
	for _, t := range p.video {
		f.Video = append(f.Video, of(t))
	}
	for _, t := range p.audio {
		f.Audio = append(f.Audio, of(t))
	}
	for _, s := range p.subtitles {
		f.Subtitles = append(f.Subtitles, TrackFacts{Name: s.name, Codecs: "wvtt", Language: s.lang, Bandwidth: s.rate(p.total), Average: s.rate(p.total), Bytes: s.bytes})
	}
	return f
}

// codecs lists the codecs of a variant.
func (p *packing) codecs(v *track) string {
	all := []string{v.Codecs}
	for _, a := range p.audio {
		if !strings.Contains(","+strings.Join(all, ",")+",", ","+a.Codecs+",") {
			all = append(all, a.Codecs)
		}
	}
	return strings.Join(all, ",")
}
