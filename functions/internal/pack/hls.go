package pack

import (
	"fmt"
	"math"
	"path"
	"strings"
)

// hls.go: playlists (RFC 8216; version 7 for EXT-X-MAP in lists of segments).

const (
	hlsHead = "#EXTM3U\n#EXT-X-VERSION:7\n"
	group   = "audio"
)

// master lists variants from the first rendition on: players begin with it.
func (p *packing) master() string {
	var b strings.Builder
	b.WriteString(hlsHead + "#EXT-X-INDEPENDENT-SEGMENTS\n\n")
	audioPeak, audioAverage := int64(0), int64(0)
	for i, a := range p.audio {
		peak, average := a.rates()
		audioPeak, audioAverage = max(audioPeak, peak), max(audioAverage, average)
		lang := ""
		if a.lang != "" {
			lang = `,LANGUAGE="` + a.lang + `"`
		}
		fmt.Fprintf(&b, "#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID=%q,NAME=\"%s\"%s,DEFAULT=%s,AUTOSELECT=YES,CHANNELS=\"%d\",URI=\"%s.m3u8\"\n",
			group, quoted(a.label), lang, yes(i == 0), a.Channels, a.path)
	}
	beside := ""
	if len(p.audio) > 0 {
		beside = `,AUDIO="` + group + `"`
	}
	for _, s := range p.subtitles {
		b.WriteString(s.media())
	}
	if len(p.subtitles) > 0 {
		beside += `,SUBTITLES="subtitles"`
	}
	if beside != "" {
		b.WriteString("\n")
	}
	for _, v := range p.video {
		peak, average := v.rates()
		fmt.Fprintf(&b, "#EXT-X-STREAM-INF:BANDWIDTH=%d,AVERAGE-BANDWIDTH=%d,CODECS=\"%s\",RESOLUTION=%dx%d,FRAME-RATE=%.3f,VIDEO-RANGE=%s%s\n%s.m3u8\n",
			peak+audioPeak, average+audioAverage, p.codecs(v), v.Width, v.Height, p.frameRate(), v.videoRange(), beside, v.path)
	}
	b.WriteString("\n")
	for _, v := range p.video {
		peak, average := v.entryRates()
		fmt.Fprintf(&b, "#EXT-X-I-FRAME-STREAM-INF:BANDWIDTH=%d,AVERAGE-BANDWIDTH=%d,CODECS=\"%s\",RESOLUTION=%dx%d,VIDEO-RANGE=%s,URI=\"%s-entries.m3u8\"\n",
			peak, average, v.Codecs, v.Width, v.Height, v.videoRange(), v.path)
	}
	return b.String()
}

// playlist lists a track's segments.
func (t *track) playlist() string {
	var b strings.Builder
	t.listHead(&b, "")
	for _, s := range t.segments {
		fmt.Fprintf(&b, "#EXTINF:%.6f,\n", t.seconds(s.dur))
		t.place(&b, s, s.size)
	}
	b.WriteString("#EXT-X-ENDLIST\n")
	return b.String()
}

// entries lists the first picture of every segment, for seeking at speed.
func (t *track) entries() string {
	var b strings.Builder
	t.listHead(&b, "#EXT-X-I-FRAMES-ONLY\n")
	for _, s := range t.segments {
		fmt.Fprintf(&b, "#EXTINF:%.6f,\n#EXT-X-BYTERANGE:%d@%d\n%s\n", t.seconds(s.dur), s.entry, s.at, t.uri(s))
	}
	b.WriteString("#EXT-X-ENDLIST\n")
	return b.String()
}

func (t *track) listHead(b *strings.Builder, more string) {
	longest := 0.0
	for _, s := range t.segments {
		longest = max(longest, t.seconds(s.dur))
	}
	fmt.Fprintf(b, "%s#EXT-X-TARGETDURATION:%d\n#EXT-X-MEDIA-SEQUENCE:1\n#EXT-X-PLAYLIST-TYPE:VOD\n#EXT-X-INDEPENDENT-SEGMENTS\n%s", hlsHead, max(int(math.Round(longest)), 1), more)
	if t.index == 0 {
		fmt.Fprintf(b, "#EXT-X-MAP:URI=\"%s/init.mp4\"\n", path.Base(t.path))
	} else {
		fmt.Fprintf(b, "#EXT-X-MAP:URI=\"%s.mp4\",BYTERANGE=\"%d@0\"\n", path.Base(t.path), t.init)
	}
}

func (t *track) place(b *strings.Builder, s segment, size int64) {
	if s.name == "" {
		fmt.Fprintf(b, "#EXT-X-BYTERANGE:%d@%d\n", size, s.at)
	}
	b.WriteString(t.uri(s) + "\n")
}

// uri of a segment's file, relative to the track's playlist.
func (t *track) uri(s segment) string {
	if s.name == "" {
		return path.Base(t.path) + ".mp4"
	}
	return path.Base(t.path) + "/" + path.Base(s.name)
}

// entryRates are bit/s of a list of entries.
func (t *track) entryRates() (peak, average int64) {
	most, bits, length := 0.0, 0.0, 0.0
	for _, s := range t.segments {
		most = max(most, float64(s.entry)*8/t.seconds(s.dur))
		bits, length = bits+float64(s.entry)*8, length+t.seconds(s.dur)
	}
	return int64(math.Ceil(most)), int64(math.Ceil(bits / length))
}

// frameRate is the pictures' rate, or their mean where it is not constant.
func (p *packing) frameRate() float64 {
	if p.rate.Known() {
		return p.rate.Float()
	}
	return float64(len(p.video[0].Samples)) / p.total
}

func (t *track) videoRange() string {
	switch t.color.Transfer {
	case "smpte2084":
		return "PQ"
	case "arib-std-b67":
		return "HLG"
	}
	return "SDR"
}

func yes(b bool) string {
	if b {
		return "YES"
	}
	return "NO"
}

// quoted is text as a quoted string can hold it.
func quoted(s string) string {
	return strings.Map(func(r rune) rune {
		switch r {
		case '"', '\n', '\r':
			return ' '
		}
		return r
	}, s)
}
