package sniff

import (
	"bytes"
	"unicode/utf8"

	"github.com/mediafn/mediafn/core/errs"
)

// text judges a head that is text: an SVG is an image, a playlist is refused
// by that name, anything else is not media. known is false for binary data.
func text(head []byte) (f Format, known bool, err error) {
	t := bytes.TrimPrefix(head, []byte("\xef\xbb\xbf"))
	if bytes.HasPrefix(t, []byte("\xff\xfe")) || bytes.HasPrefix(t, []byte("\xfe\xff")) {
		t = narrow(t)
	}
	if !isText(t) {
		return Format{}, false, nil
	}
	t = bytes.TrimLeft(t, " \t\r\n\v\f")
	if what := playlist(t); what != "" {
		return Format{}, true, errs.New(errs.Unsupported, op, "playlist: %s names other files and is not media itself", what)
	}
	if root := rootElement(t); bytes.Equal(root, []byte("svg")) || bytes.HasSuffix(root, []byte(":svg")) {
		f, _ = FormatByName("svg")
		return f, true, nil
	}
	return Format{}, true, errs.New(errs.Invalid, op, "the file is text, not media")
}

// playlist names the kind of playlist t is, or returns "".
func playlist(t []byte) string {
	line, rest, _ := bytes.Cut(t[:min(len(t), 4096)], []byte("\n"))
	line = bytes.ToLower(bytes.TrimSpace(line))
	has := func(prefix string) bool { return bytes.HasPrefix(line, []byte(prefix)) }
	switch {
	case has("#extm3u"), has("#ext-x-"), has("#extinf"):
		return "an m3u8 or m3u list"
	case has("ffconcat "), has("file '"), has("file \""), has("file http"), has("file /"):
		return "a concat script"
	case has("v=0") && bytes.HasPrefix(rest, []byte("o=")):
		return "an SDP description"
	case has("[playlist]"), has("[reference]"):
		return "a pls list"
	case has("rtsp://"), has("rtmp://"), has("http://"), has("https://"), has("file://"):
		return "a list of addresses"
	}
	switch string(bytes.ToLower(rootElement(t))) {
	case "mpd":
		return "a DASH manifest"
	case "smoothstreamingmedia":
		return "a Smooth Streaming manifest"
	case "asx", "playlist", "smil", "manifest", "rss":
		return "an XML play list"
	}
	return ""
}

// rootElement returns the name of the first XML element, past the
// declaration, comments and a document type with its internal subset.
func rootElement(t []byte) []byte {
	for {
		t = bytes.TrimLeft(t, " \t\r\n")
		if len(t) < 2 || t[0] != '<' {
			return nil
		}
		var end []byte
		depth := 0
		switch {
		case t[1] == '?':
			end = []byte("?>")
		case bytes.HasPrefix(t, []byte("<!--")):
			end = []byte("-->")
		case t[1] == '!':
			i := 0
			for ; i < len(t) && (t[i] != '>' || depth > 0); i++ {
				switch t[i] {
				case '[':
					depth++
				case ']':
					depth--
				}
			}
			t = t[min(i+1, len(t)):]
			continue
		default:
			if i := bytes.IndexAny(t[1:], " \t\r\n/>"); i > 0 {
				return t[1 : 1+i]
			}
			return nil
		}
		_, rest, ok := bytes.Cut(t, end)
		if !ok {
			return nil
		}
		t = rest
	}
}

// isText reports whether t is UTF-8 or Latin text without control characters.
// A rune cut off by the end of the head does not count against it.
func isText(t []byte) bool {
	high := 0
	for i := 0; i < len(t); {
		c := t[i]
		if c < 0x20 && c != '\t' && c != '\n' && c != '\r' && c != '\f' && c != '\v' && c != 0x1b || c == 0x7f {
			return false
		}
		if c < utf8.RuneSelf {
			i++
			continue
		}
		r, n := utf8.DecodeRune(t[i:])
		if r == utf8.RuneError && n <= 1 && len(t)-i >= utf8.UTFMax {
			high++
		}
		i += n
	}
	return high*10 <= len(t)
}

// narrow turns UTF-16 with a byte order mark into ASCII, other characters
// into '?': enough to recognise playlists written so.
func narrow(t []byte) []byte {
	little := t[0] == 0xff
	out := make([]byte, 0, len(t)/2)
	for i := 2; i+1 < len(t); i += 2 {
		lo, hi := t[i+1], t[i]
		if little {
			lo, hi = hi, lo
		}
		if hi != 0 || lo >= utf8.RuneSelf {
			lo = '?'
		}
		out = append(out, lo)
	}
	return out
}
