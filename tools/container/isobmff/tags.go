package isobmff

import (
	"bytes"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/mediafn/mediafn/core/media"
)

// maxText bounds one tag's value in bytes.
const maxText = 64 << 10

// tagNames maps iTunes and QuickTime item types to FFmpeg's tag names.
var tagNames = map[string]string{
	"\xa9nam": "title", "\xa9ART": "artist", "\xa9alb": "album", "\xa9day": "date", "\xa9cmt": "comment", "\xa9too": "encoder",
	"\xa9swr": "encoder", "\xa9gen": "genre", "\xa9wrt": "composer", "aART": "album_artist", "desc": "description", "ldes": "synopsis", "cprt": "copyright",
	"\xa9cpy": "copyright", "\xa9aut": "author", "\xa9des": "comment", "\xa9lyr": "lyrics", "\xa9grp": "grouping", "\xa9mak": "make", "\xa9mod": "model", "\xa9xyz": "location", "tvsh": "show", "\xa9enc": "encoder",
}

// printable is b as text: up to the first zero, valid UTF-8.
func printable(b []byte) string {
	if i := bytes.IndexByte(b, 0); i >= 0 {
		b = b[:i]
	}
	b = b[:min(len(b), maxText)]
	if !utf8.Valid(b) {
		return strings.ToValidUTF8(string(b), "\ufffd")
	}
	return string(b)
}

// tags reads the movie's metadata. Errors inside it cost only the tags.
func (m *movie) tags() map[string]string {
	tags := map[string]string{}
	if m.brand != "" {
		tags["major_brand"], tags["minor_version"], tags["compatible_brands"] = m.brand, fmt.Sprint(m.minor), m.brands
	}
	const epoch = 2082844800 // 1904 to 1970
	if m.created > epoch && m.created < 1<<33 {
		tags["creation_time"] = time.Unix(int64(m.created)-epoch, 0).UTC().Format("2006-01-02T15:04:05.000000Z")
	}
	udta := child(m.moov, "udta")
	_ = each(udta, func(kind string, b []byte) error {
		if name := tagNames[kind]; name != "" && kind[0] == 0xa9 && len(b) > 4 && tags[name] == "" {
			n := int(be.Uint16(b))
			tags[name] = printable(b[4:min(4+n, len(b))]) // size, language, text
		}
		return nil
	})
	if meta := child(udta, "meta"); len(meta) > 4 {
		m.items(meta[4:], tags)
	}
	if meta := child(m.moov, "meta"); meta != nil { // QuickTime's has no version and flags
		if len(meta) > 12 && string(meta[8:12]) == "hdlr" {
			meta = meta[4:]
		}
		m.items(meta, tags)
	}
	return tags
}

// items reads an item list, keyed by type or by index into a keys box.
func (m *movie) items(meta []byte, tags map[string]string) {
	var keys []string
	if k := child(meta, "keys"); len(k) > 8 {
		_ = each(k[8:], func(_ string, b []byte) error { keys = append(keys, printable(b)); return nil })
	}
	_ = each(child(meta, "ilst"), func(kind string, b []byte) error {
		data := child(b, "data")
		if len(data) < 8 || len(tags) > 256 {
			return nil
		}
		name, value := tagNames[kind], data[8:]
		if i := be.Uint32([]byte(kind)); len(keys) > 0 && i >= 1 && int64(i) <= int64(len(keys)) {
			name = strings.TrimPrefix(keys[i-1], "mdta")
			if be.Uint32(data) != 1 {
				return nil // not text
			}
		}
		switch {
		case (kind == "trkn" || kind == "disk") && len(value) >= 6:
			name = map[string]string{"trkn": "track", "disk": "disc"}[kind]
			tags[name] = fmt.Sprint(be.Uint16(value[2:]))
			if n := be.Uint16(value[4:]); n > 0 {
				tags[name] += fmt.Sprintf("/%d", n)
			}
		case name != "":
			tags[name] = printable(value)
		}
		return nil
	})
}

// covers lists the embedded pictures, which players show as extra streams.
func (m *movie) covers(next int) (v []media.VideoStream) {
	meta := child(child(m.moov, "udta"), "meta")
	if len(meta) <= 4 {
		return nil
	}
	_ = each(child(child(meta[4:], "ilst"), "covr"), func(kind string, b []byte) error {
		if kind != "data" || len(b) < 24 || len(v) >= 16 {
			return nil
		}
		s := media.VideoStream{Index: next + len(v), Attached: true, TimeBase: media.Rational{Num: 1, Den: 90000}}
		if x := b[8:]; bytes.HasPrefix(x, []byte("\x89PNG")) {
			s.Codec = "png"
			if len(x) > 24 {
				s.Width, s.Height = int(be.Uint32(x[16:])), int(be.Uint32(x[20:]))
			}
		} else if bytes.HasPrefix(x, []byte("\xff\xd8")) {
			s.Codec = "mjpeg"
			s.Width, s.Height = jpegSize(x)
		} else {
			return nil
		}
		v = append(v, s)
		return nil
	})
	return v
}

// jpegSize finds the frame header of a JPEG.
func jpegSize(b []byte) (w, h int) {
	for i := 2; i+9 < len(b) && b[i] == 0xff; {
		c := b[i+1]
		if c >= 0xc0 && c <= 0xcf && c != 0xc4 && c != 0xc8 && c != 0xcc {
			return int(be.Uint16(b[i+7:])), int(be.Uint16(b[i+5:]))
		}
		i += 2 + int(be.Uint16(b[i+2:]))
	}
	return 0, 0
}

const maxChapters = 4096

// chapters reads chapter titles from the text track another one refers to,
// or from Nero's list.
func (m *movie) chapters(end float64) ([]media.Chapter, error) {
	for _, t := range m.tracks {
		for _, id := range t.chapters {
			c := m.byID[id]
			if c == nil || c.handler != "text" && c.handler != "sbtl" || c.count > maxChapters {
				continue
			}
			raw, err := c.raw(maxChapters, m.r.Size())
			if err != nil {
				return nil, err
			}
			s, _, err := c.edited(raw, maxChapters)
			if err != nil {
				return nil, err
			}
			var out []media.Chapter
			tb := c.timebase()
			for _, x := range s {
				ch := media.Chapter{Span: media.Span{Start: tb.Seconds(x.PTS), End: tb.Seconds(x.PTS + x.Dur)}}
				b, err := m.r.Upto(x.Offset, min(int(x.Size), 4096))
				if err != nil {
					return nil, err
				}
				if len(b) >= 2 {
					ch.Title = printable(b[2:min(len(b), 2+int(be.Uint16(b)))])
				}
				out = append(out, ch)
			}
			return out, nil
		}
	}
	b := child(child(m.moov, "udta"), "chpl")
	if len(b) < 9 {
		return nil, nil
	}
	var out []media.Chapter
	n := int(b[8])
	b = b[9:]
	for range n {
		if len(b) < 9 || len(b) < 9+int(b[8]) {
			break
		}
		at := float64(be.Uint64(b)) / 1e7
		if len(out) > 0 {
			out[len(out)-1].End = at
		}
		out = append(out, media.Chapter{Span: media.Span{Start: at, End: max(at, end)}, Title: printable(b[9 : 9+int(b[8])])})
		b = b[9+int(b[8]):]
	}
	return out, nil
}

// timecode reads the first value of a timecode track as text.
func (m *movie) timecode(t *track) (string, error) {
	kind, b := t.entry()
	if kind != "tmcd" || len(b) < 25 || t.count < 1 || t.count > maxChapters {
		return "", nil
	}
	flags, fps := be.Uint32(b[12:]), int64(b[24])
	raw, err := t.raw(maxChapters, m.r.Size())
	if err != nil || len(raw) == 0 || fps == 0 {
		return "", err
	}
	v, err := m.r.Upto(raw[0].Offset, 4)
	if err != nil || len(v) < 4 {
		return "", err
	}
	n, sep := int64(be.Uint32(v)), ":"
	if flags&1 != 0 && fps%30 == 0 { // drop frame: two numbers skipped each minute but the tenth
		drop, per := fps/15, fps*600-fps/15*9
		d, r := n/per, n%per
		if n += 9 * drop * d; r > drop {
			n += drop * ((r - drop) / (per / 10))
		}
		sep = ";"
	}
	return fmt.Sprintf("%02d:%02d:%02d%s%02d", n/(fps*3600)%24, n/(fps*60)%60, n/fps%60, sep, n%fps), nil
}
