package ladder

import (
	"bytes"
	"encoding/xml"
	"fmt"
	"io"
	"math"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/Eyevinn/mp4ff/avc"
	"github.com/Eyevinn/mp4ff/hevc"
	"github.com/Eyevinn/mp4ff/mp4"
)

// A reader of packages that forgives nothing, and shares no code with what
// writes them.

// ranged is a stretch of a file; Length < 0 is all of it.
type ranged struct {
	File           string
	Offset, Length int64
}

func (r ranged) read(t *testing.T, dir string) []byte {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join(dir, filepath.FromSlash(r.File)))
	if err != nil {
		t.Fatal(err)
	}
	if r.Length < 0 {
		return raw
	}
	if r.Offset+r.Length > int64(len(raw)) {
		t.Fatalf("%+v of %d bytes", r, len(raw))
	}
	return raw[r.Offset:][:r.Length]
}

type listed struct {
	ranged
	Duration float64
}

type playlist struct {
	Target  int
	Map     ranged
	Entries bool // lists first pictures only
	All     []listed
}

var (
	attribute = regexp.MustCompile(`^([A-Z0-9-]+)=("[^"\r\n]*"|[^",\s]+)(,|$)`)
	byteRange = regexp.MustCompile(`^(\d+)@(\d+)$`)
)

func attributes(t *testing.T, line string) map[string]string {
	t.Helper()
	all := map[string]string{}
	for line != "" {
		m := attribute.FindStringSubmatch(line)
		if m == nil {
			t.Fatalf("attributes %q", line)
		}
		if _, twice := all[m[1]]; twice {
			t.Fatalf("%s twice", m[1])
		}
		all[m[1]] = strings.Trim(m[2], `"`)
		line = line[len(m[0]):]
	}
	return all
}

func rangeOf(t *testing.T, text string) (length, offset int64) {
	t.Helper()
	m := byteRange.FindStringSubmatch(text)
	if m == nil {
		t.Fatalf("byte range %q", text)
	}
	length, _ = strconv.ParseInt(m[1], 10, 64)
	offset, _ = strconv.ParseInt(m[2], 10, 64)
	return length, offset
}

func lines(t *testing.T, dir, name string) []string {
	t.Helper()
	text := string(ranged{File: name, Length: -1}.read(t, dir))
	if !strings.HasPrefix(text, "#EXTM3U\n#EXT-X-VERSION:7\n") || !strings.HasSuffix(text, "\n") || strings.Contains(text, "\r") {
		t.Fatalf("%s begins or ends wrongly:\n%s", name, text)
	}
	return strings.Split(strings.TrimSuffix(text, "\n"), "\n")[2:]
}

// readPlaylist reads a media playlist.
func readPlaylist(t *testing.T, dir, name string) playlist {
	t.Helper()
	var p playlist
	seen := map[string]bool{}
	next, ended := listed{ranged: ranged{Length: -1}, Duration: -1}, false
	at := path.Dir(name)
	for _, line := range lines(t, dir, name) {
		tag, value, _ := strings.Cut(line, ":")
		if ended {
			t.Fatalf("%s: %q behind the end", name, line)
		}
		if strings.HasPrefix(tag, "#EXT-X-") && tag != "#EXT-X-BYTERANGE" && seen[tag] {
			t.Fatalf("%s: %s twice", name, tag)
		}
		seen[tag] = true
		switch tag {
		case "#EXT-X-TARGETDURATION":
			p.Target, _ = strconv.Atoi(value)
		case "#EXT-X-MEDIA-SEQUENCE", "#EXT-X-INDEPENDENT-SEGMENTS":
		case "#EXT-X-PLAYLIST-TYPE":
			if value != "VOD" {
				t.Fatal(line)
			}
		case "#EXT-X-I-FRAMES-ONLY":
			p.Entries = true
		case "#EXT-X-MAP":
			a := attributes(t, value)
			p.Map = ranged{File: path.Join(at, a["URI"]), Length: -1}
			if r, ok := a["BYTERANGE"]; ok {
				p.Map.Length, p.Map.Offset = rangeOf(t, r)
			}
		case "#EXTINF":
			d, err := strconv.ParseFloat(strings.TrimSuffix(value, ","), 64)
			if err != nil || d <= 0 || next.Duration >= 0 || math.Round(d) > float64(p.Target) || p.Map.File == "" && !strings.HasPrefix(name, "subtitles/") {
				t.Fatalf("%s: %q, target %d, %v", name, line, p.Target, err)
			}
			next.Duration = d
		case "#EXT-X-BYTERANGE":
			next.Length, next.Offset = rangeOf(t, value)
		case "#EXT-X-ENDLIST":
			ended = true
		default:
			if strings.HasPrefix(line, "#") || line == "" || next.Duration < 0 || strings.HasPrefix(line, "/") || strings.Contains(line, "..") {
				t.Fatalf("%s: %q", name, line)
			}
			next.File = path.Join(at, line)
			p.All = append(p.All, next)
			next = listed{ranged: ranged{Length: -1}, Duration: -1}
		}
	}
	if !ended || p.Target <= 0 || len(p.All) == 0 {
		t.Fatalf("%s: %+v", name, p)
	}
	return p
}

type variant struct {
	Name                string
	Bandwidth, Average  int64
	Codecs, Resolution  string
	FrameRate           float64
	Range, Audio, Entry string
}

type master struct {
	Variants []variant
	Entries  map[string]variant // by the name of the variant
	Audio    []map[string]string
	Texts    []map[string]string
}

func readMaster(t *testing.T, dir string) master {
	t.Helper()
	m := master{Entries: map[string]variant{}}
	var next *variant
	independent := false
	read := func(a map[string]string) variant {
		v := variant{Codecs: a["CODECS"], Resolution: a["RESOLUTION"], Range: a["VIDEO-RANGE"], Audio: a["AUDIO"], Entry: a["URI"]}
		v.Bandwidth, _ = strconv.ParseInt(a["BANDWIDTH"], 10, 64)
		v.Average, _ = strconv.ParseInt(a["AVERAGE-BANDWIDTH"], 10, 64)
		v.FrameRate, _ = strconv.ParseFloat(a["FRAME-RATE"], 64)
		if v.Bandwidth <= 0 || v.Average <= 0 || v.Average > v.Bandwidth || v.Codecs == "" || v.Resolution == "" {
			t.Fatalf("%+v", v)
		}
		return v
	}
	for _, line := range lines(t, dir, "master.m3u8") {
		tag, value, _ := strings.Cut(line, ":")
		switch {
		case line == "":
		case line == "#EXT-X-INDEPENDENT-SEGMENTS":
			independent = true
		case tag == "#EXT-X-MEDIA":
			a := attributes(t, value)
			if a["NAME"] == "" || a["URI"] == "" || (a["TYPE"] == "AUDIO") != (a["CHANNELS"] != "") {
				t.Fatal(line)
			}
			if a["TYPE"] == "SUBTITLES" {
				m.Texts = append(m.Texts, a)
				continue
			} else if a["TYPE"] != "AUDIO" {
				t.Fatal(line)
			}
			for _, other := range m.Audio {
				if other["NAME"] == a["NAME"] || other["DEFAULT"] == "YES" && a["DEFAULT"] == "YES" {
					t.Fatalf("%v and %v", other, a)
				}
			}
			m.Audio = append(m.Audio, a)
		case tag == "#EXT-X-STREAM-INF" && next == nil:
			v := read(attributes(t, value))
			next = &v
		case tag == "#EXT-X-I-FRAME-STREAM-INF":
			v := read(attributes(t, value))
			m.Entries[strings.TrimSuffix(v.Entry, "-entries.m3u8")+".m3u8"] = v
		case !strings.HasPrefix(line, "#") && next != nil:
			next.Name = line
			m.Variants = append(m.Variants, *next)
			next = nil
		default:
			t.Fatalf("master: %q", line)
		}
	}
	if !independent || next != nil || len(m.Variants) == 0 || len(m.Entries) != len(m.Variants) {
		t.Fatalf("%+v", m)
	}
	return m
}

// piece is a media segment as it is.
type piece struct {
	Start, End float64 // presented, before an edit list
	Bytes      int
	Number     uint32
}

// readTrack reads an initialisation segment and what follows it with mp4ff. It
// wants every segment to begin with a picture that can be decoded alone, and
// decode times to go on where the last segment ended. skip is what the edit
// list takes off in front, in seconds.
func readTrack(t *testing.T, dir string, init ranged, segments []ranged) (all []piece, skip float64) {
	t.Helper()
	head := init.read(t, dir)
	var whole bytes.Buffer
	whole.Write(head)
	for _, s := range segments {
		whole.Write(s.read(t, dir))
	}
	f, err := mp4.DecodeFile(&whole)
	if err != nil {
		t.Fatalf("%s: %v", init.File, err)
	}
	trak := f.Init.Moov.Trak
	scale := float64(trak.Mdia.Mdhd.Timescale)
	if trak.Edts != nil {
		skip = float64(trak.Edts.Elst[0].Entries[0].MediaTime) / scale
	}
	var fragments []*mp4.Fragment
	for _, s := range f.Segments {
		fragments = append(fragments, s.Fragments...)
	}
	if len(fragments) != len(segments) {
		t.Fatalf("%s: %d fragments in %d segments", init.File, len(fragments), len(segments))
	}
	video, next := trak.Mdia.Hdlr.HandlerType == "vide", uint64(0)
	for i, fr := range fragments {
		samples, err := fr.GetFullSamples(f.Init.Moov.Mvex.Trex)
		if err != nil {
			t.Fatalf("%s segment %d: %v", init.File, i, err)
		}
		if i > 0 && samples[0].DecodeTime != next {
			t.Fatalf("%s segment %d is decoded from %d, the one before ends at %d", init.File, i, samples[0].DecodeTime, next)
		}
		first, last := int64(math.MaxInt64), int64(math.MinInt64)
		for k, s := range samples {
			pts := int64(s.DecodeTime) + int64(s.CompositionTimeOffset)
			first, last = min(first, pts), max(last, pts+int64(s.Dur))
			next = s.DecodeTime + uint64(s.Dur)
			if video && s.IsSync() != (k == 0) && k == 0 {
				t.Fatalf("%s segment %d does not begin with a sync sample", init.File, i)
			}
		}
		if pts := int64(samples[0].DecodeTime) + int64(samples[0].CompositionTimeOffset); pts != first {
			t.Fatalf("%s segment %d shows something before its first picture", init.File, i)
		}
		if video && !idr(t, trak.Mdia.Minf.Stbl.Stsd, samples[0].Data) {
			t.Fatalf("%s segment %d does not begin with an IDR picture", init.File, i)
		}
		all = append(all, piece{Start: float64(first) / scale, End: float64(last) / scale, Bytes: int(fr.Size()), Number: fr.Moof.Mfhd.SequenceNumber})
		if i > 0 && math.Abs(all[i].Start-all[i-1].End) > 1e-9 {
			t.Fatalf("%s: segment %d ends at %v, the next begins at %v", init.File, i-1, all[i-1].End, all[i].Start)
		}
	}
	return all, skip
}

func idr(t *testing.T, stsd *mp4.StsdBox, sample []byte) bool {
	t.Helper()
	nalus, err := avc.GetNalusFromSample(sample)
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range nalus {
		if stsd.AvcX != nil && avc.GetNaluType(n[0]) == avc.NALU_IDR ||
			stsd.HvcX != nil && (hevc.GetNaluType(n[0]) == hevc.NALU_IDR_W_RADL || hevc.GetNaluType(n[0]) == hevc.NALU_IDR_N_LP) {
			return true
		}
	}
	return false
}

// manifest is an MPD as far as it is checked; anything else is a fault.
type manifest struct {
	XMLName  xml.Name   `xml:"urn:mpeg:dash:schema:mpd:2011 MPD"`
	Attrs    []xml.Attr `xml:",any,attr"`
	Type     string     `xml:"type,attr"`
	Duration string     `xml:"mediaPresentationDuration,attr"`
	Period   struct {
		Sets []struct {
			ContentType string `xml:"contentType,attr"`
			Lang        string `xml:"lang,attr"`
			Tracks      []struct {
				ID        string `xml:"id,attr"`
				Codecs    string `xml:"codecs,attr"`
				Bandwidth int64  `xml:"bandwidth,attr"`
				Width     int    `xml:"width,attr"`
				BaseURL   string
				Base      *struct {
					Timescale int64  `xml:"timescale,attr"`
					Index     string `xml:"indexRange,attr"`
					Init      struct {
						Range string `xml:"range,attr"`
					} `xml:"Initialization"`
				} `xml:"SegmentBase"`
				Template *struct {
					Timescale int64  `xml:"timescale,attr"`
					Init      string `xml:"initialization,attr"`
					Media     string `xml:"media,attr"`
					Start     int    `xml:"startNumber,attr"`
					Line      []struct {
						T *int64 `xml:"t,attr"`
						D int64  `xml:"d,attr"`
						R int    `xml:"r,attr"`
					} `xml:"SegmentTimeline>S"`
				} `xml:"SegmentTemplate"`
			} `xml:"Representation"`
		} `xml:"AdaptationSet"`
	} `xml:"Period"`
}

// dashTrack is where a representation's segments lie, and when they are shown.
type dashTrack struct {
	Set, Lang, Codecs string
	Bandwidth         int64
	Init              ranged
	Segments          []listed
	Start             float64
}

func readMPD(t *testing.T, dir string) (map[string]dashTrack, float64) {
	t.Helper()
	dec := xml.NewDecoder(bytes.NewReader(ranged{File: "manifest.mpd", Length: -1}.read(t, dir)))
	dec.Strict = true
	var m manifest
	if err := dec.Decode(&m); err != nil {
		t.Fatal(err)
	}
	if _, err := dec.Token(); err != io.EOF && err != nil {
		t.Fatal(err)
	}
	var total float64
	if _, err := fmt.Sscanf(m.Duration, "PT%fS", &total); err != nil || m.Type != "static" {
		t.Fatalf("%s %q: %v", m.Type, m.Duration, err)
	}
	all := map[string]dashTrack{}
	for _, set := range m.Period.Sets {
		for _, r := range set.Tracks {
			d := dashTrack{Set: set.ContentType, Lang: set.Lang, Codecs: r.Codecs, Bandwidth: r.Bandwidth}
			switch {
			case r.Base != nil:
				d.Init = ranged{r.BaseURL, 0, 0}
				var from, to int64
				if _, err := fmt.Sscanf(r.Base.Init.Range, "0-%d", &d.Init.Length); err != nil {
					t.Fatal(err)
				}
				d.Init.Length++
				if _, err := fmt.Sscanf(r.Base.Index, "%d-%d", &from, &to); err != nil || from != d.Init.Length {
					t.Fatalf("index %s: %v", r.Base.Index, err)
				}
				d.Segments, d.Start = readIndex(t, dir, ranged{r.BaseURL, from, to - from + 1})
			case r.Template != nil:
				d.Init = ranged{File: r.Template.Init, Length: -1}
				n := r.Template.Start
				for i, s := range r.Template.Line {
					if i == 0 && s.T != nil {
						d.Start = float64(*s.T) / float64(r.Template.Timescale)
					}
					for range s.R + 1 {
						d.Segments = append(d.Segments, listed{ranged{strings.Replace(r.Template.Media, "$Number%05d$", fmt.Sprintf("%05d", n), 1), 0, -1},
							float64(s.D) / float64(r.Template.Timescale)})
						n++
					}
				}
			case set.ContentType == "text":
				d.Segments = []listed{{ranged{r.BaseURL, 0, -1}, total}}
			default:
				t.Fatalf("representation %s has no segments", r.ID)
			}
			all[r.ID] = d
		}
	}
	return all, total
}

// readIndex reads a segment index; segments follow it at once, to the file's end.
func readIndex(t *testing.T, dir string, at ranged) (all []listed, start float64) {
	t.Helper()
	b, err := mp4.DecodeBox(0, bytes.NewReader(at.read(t, dir)))
	if err != nil {
		t.Fatal(err)
	}
	sidx, ok := b.(*mp4.SidxBox)
	if !ok || sidx.FirstOffset != 0 {
		t.Fatalf("%s in place of an index", b.Type())
	}
	offset := at.Offset + at.Length
	for _, r := range sidx.SidxRefs {
		if r.StartsWithSAP != 1 || r.SAPType != 1 || r.ReferenceType != 0 {
			t.Fatalf("%+v", r)
		}
		all = append(all, listed{ranged{at.File, offset, int64(r.ReferencedSize)}, float64(r.SubSegmentDuration) / float64(sidx.Timescale)})
		offset += int64(r.ReferencedSize)
	}
	if st, err := os.Stat(filepath.Join(dir, filepath.FromSlash(at.File))); err != nil || st.Size() != offset {
		t.Fatalf("%s has %v bytes, its index speaks of %d", at.File, st, offset)
	}
	return all, float64(sidx.EarliestPresentationTime) / float64(sidx.Timescale)
}
