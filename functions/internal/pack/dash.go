package pack

import (
	"encoding/xml"
	"fmt"
	"math"
	"strconv"
	"strings"

	"github.com/mediafn/mediafn/core/errs"
)

// dash.go: the MPD (ISO/IEC 23009-1): profile on-demand for tracks in one file,
// live, which also means templates of stored segments, for segments in files.

type mpd struct {
	XMLName  xml.Name `xml:"urn:mpeg:dash:schema:mpd:2011 MPD"`
	Profiles string   `xml:"profiles,attr"`
	Type     string   `xml:"type,attr"`
	Duration string   `xml:"mediaPresentationDuration,attr"`
	Buffer   string   `xml:"minBufferTime,attr"`
	Longest  string   `xml:"maxSegmentDuration,attr,omitempty"`
	Period   period   `xml:"Period"`
}

type period struct {
	ID    string          `xml:"id,attr"`
	Start string          `xml:"start,attr"`
	Sets  []adaptationSet `xml:"AdaptationSet"`
}

type adaptationSet struct {
	ID          int              `xml:"id,attr"`
	ContentType string           `xml:"contentType,attr"`
	Lang        string           `xml:"lang,attr,omitempty"`
	Aligned     bool             `xml:"segmentAlignment,attr,omitempty"`
	SubAligned  bool             `xml:"subsegmentAlignment,attr,omitempty"`
	SAP         int              `xml:"startWithSAP,attr,omitempty"`
	SubSAP      int              `xml:"subsegmentStartsWithSAP,attr,omitempty"`
	Label       string           `xml:"Label,omitempty"`
	Role        *property        `xml:"Role"`
	Tracks      []representation `xml:"Representation"`
}

type property struct {
	Scheme string `xml:"schemeIdUri,attr"`
	Value  string `xml:"value,attr"`
}

type representation struct {
	ID        string           `xml:"id,attr"`
	Mime      string           `xml:"mimeType,attr"`
	Codecs    string           `xml:"codecs,attr,omitempty"`
	Bandwidth int64            `xml:"bandwidth,attr"`
	Width     int              `xml:"width,attr,omitempty"`
	Height    int              `xml:"height,attr,omitempty"`
	FrameRate string           `xml:"frameRate,attr,omitempty"`
	SAR       string           `xml:"sar,attr,omitempty"`
	Rate      uint32           `xml:"audioSamplingRate,attr,omitempty"`
	Channels  *property        `xml:"AudioChannelConfiguration"`
	BaseURL   string           `xml:"BaseURL,omitempty"`
	Base      *segmentBase     `xml:"SegmentBase"`
	Template  *segmentTemplate `xml:"SegmentTemplate"`
}

type segmentBase struct {
	Timescale  uint32 `xml:"timescale,attr"`
	IndexRange string `xml:"indexRange,attr"`
	Init       struct {
		Range string `xml:"range,attr"`
	} `xml:"Initialization"`
}

type segmentTemplate struct {
	Timescale uint32 `xml:"timescale,attr"`
	Start     int    `xml:"startNumber,attr"`
	Init      string `xml:"initialization,attr"`
	Media     string `xml:"media,attr"`
	Timeline  []run  `xml:"SegmentTimeline>S"`
}

// run is a number of segments of equal length.
type run struct {
	T *int64 `xml:"t,attr"`
	D int64  `xml:"d,attr"`
	R int    `xml:"r,attr,omitempty"`
}

// mpd writes the manifest. Renditions of one codec are a set players switch in.
func (p *packing) mpd() (string, error) {
	m := mpd{Profiles: "urn:mpeg:dash:profile:isoff-on-demand:2011", Type: "static", Duration: seconds(p.total), Period: period{ID: "0", Start: "PT0S"}}
	longest := 0.0
	for _, s := range p.video[0].segments {
		longest = max(longest, p.video[0].seconds(s.dur))
	}
	m.Buffer = seconds(longest)
	if p.How.Files {
		m.Profiles, m.Longest = "urn:mpeg:dash:profile:isoff-live:2011", seconds(longest)
	}
	var codecs []string
	sets := map[string]int{}
	for _, t := range p.video {
		codec, _, _ := strings.Cut(t.Codecs, ".")
		if _, known := sets[codec]; !known {
			sets[codec] = len(m.Period.Sets)
			codecs = append(codecs, codec)
			m.Period.Sets = append(m.Period.Sets, p.set(len(codecs), "video"))
		}
		set := &m.Period.Sets[sets[codec]]
		r := p.representation(t, "video/mp4")
		r.Width, r.Height, r.SAR = t.Width, t.Height, "1:1"
		if p.rate.Known() {
			if r.FrameRate = strconv.FormatInt(p.rate.Num, 10); p.rate.Den != 1 {
				r.FrameRate += "/" + strconv.FormatInt(p.rate.Den, 10)
			}
		}
		set.Tracks = append(set.Tracks, r)
	}
	for i, t := range p.audio {
		set := p.set(len(m.Period.Sets)+1, "audio")
		set.Lang, set.Label = t.lang, t.label
		set.Role = &property{"urn:mpeg:dash:role:2011", "main"}
		if i > 0 {
			set.Role.Value = "alternate"
		}
		r := p.representation(t, "audio/mp4")
		r.Rate = t.Timescale
		r.Channels = &property{"urn:mpeg:dash:23003:3:audio_channel_configuration:2011", strconv.Itoa(t.Channels)}
		set.Tracks = []representation{r}
		m.Period.Sets = append(m.Period.Sets, set)
	}
	for _, s := range p.subtitles {
		m.Period.Sets = append(m.Period.Sets, s.set(len(m.Period.Sets)+1, p.total))
	}
	raw, err := xml.MarshalIndent(m, "", "  ")
	if err != nil {
		return "", errs.New(errs.Internal, op, "mpd: %w", err)
	}
	return xml.Header + string(raw) + "\n", nil
}

func (p *packing) set(id int, content string) adaptationSet {
	s := adaptationSet{ID: id, ContentType: content}
	if p.How.Files {
		s.Aligned, s.SAP = true, 1
	} else {
		s.SubAligned, s.SubSAP = true, 1
	}
	return s
}

func (p *packing) representation(t *track, mime string) representation {
	peak, _ := t.rates()
	r := representation{ID: t.name, Mime: mime, Codecs: t.Codecs, Bandwidth: peak}
	if !p.How.Files {
		r.BaseURL = t.path + ".mp4"
		r.Base = &segmentBase{Timescale: t.Timescale, IndexRange: fmt.Sprintf("%d-%d", t.init, t.init+t.index-1)}
		r.Base.Init.Range = fmt.Sprintf("0-%d", t.init-1)
		return r
	}
	r.Template = &segmentTemplate{Timescale: t.Timescale, Start: 1, Init: t.path + "/init.mp4", Media: t.path + "/$Number%05d$.m4s"}
	var line []run
	for i, s := range t.segments {
		if n := len(line); i > 0 && line[n-1].D == s.dur {
			line[n-1].R++
			continue
		}
		one := run{D: s.dur}
		if i == 0 {
			one.T = &s.start
		}
		line = append(line, one)
	}
	r.Template.Timeline = line
	return r
}

// seconds is a duration as XML Schema writes it.
func seconds(s float64) string {
	return "PT" + strconv.FormatFloat(math.Round(s*1e6)/1e6, 'f', -1, 64) + "S"
}
