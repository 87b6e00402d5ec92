package rate

import (
	"encoding/base64"
	"encoding/binary"
	"math"
	"os"
	"strconv"
	"strings"

	"github.com/mediafn/mediafn/core/errs"
)

// Read reads what the first pass of x264 or x265 wrote. Encoders run on hostile
// pictures: whatever does not read is Invalid.
func Read(stats []byte) (Pass, error) { return readLines(string(stats)) }

// ReadLog reads the statistics that lie in dir.
func ReadLog(dir string) (Pass, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return Pass{}, errs.New(errs.Internal, "rate", "%w", err)
	}
	defer root.Close()
	text, err := root.ReadFile(Log)
	if err != nil {
		return Pass{}, errs.New(errs.Internal, "rate", "statistics of the first pass: %w", err)
	}
	return Read(text)
}

// readLines reads the text of x264 and x265: a line of options, then a line a
// picture of "name:value" fields.
func readLines(text string) (Pass, error) {
	head, rest, ok := strings.Cut(text, "\n")
	if !ok || !strings.HasPrefix(head, "#options:") {
		return Pass{}, errs.New(errs.Invalid, "rate", "no statistics of an encoder")
	}
	p := Pass{}
	tick, fps := 0.0, 25.0
	for _, word := range strings.Fields(head) {
		name, value, _ := strings.Cut(word, "=")
		switch name {
		case "mbtree":
			p.Flat = value == "1"
		case "cutree":
			p.Flat = true
		case "fps":
			fps = fraction(value, fps)
		case "timebase":
			tick = fraction(value, 0) / 2 // counted in fields
		}
	}
	if fps <= 0 {
		return p, errs.New(errs.Invalid, "rate", "no frame rate in the statistics")
	}
	p.FrameRate = fps
	for line := range strings.Lines(rest) {
		f, ticks, err := readLine(line)
		if err != nil {
			return p, err
		}
		if f.Seconds = ticks * tick; f.Seconds == 0 {
			f.Seconds = 1 / fps
		}
		p.Frames = append(p.Frames, f)
		p.Seconds += f.Seconds
	}
	return p, nil
}

func readLine(line string) (f Frame, ticks float64, err error) {
	intra, blocks, seen := 0.0, 0.0, 0
	for field := range strings.FieldsSeq(strings.TrimRight(line, ";\n")) {
		name, value, _ := strings.Cut(field, ":")
		if name == "type" && value != "" {
			f.Type = map[byte]byte{'I': 'I', 'i': 'I', 'P': 'P', 'B': 'B', 'b': 'B'}[value[0]]
			continue
		}
		into := map[string]*float64{"dur": &ticks, "q": &f.Scale, "tex": &f.Texture, "mv": &f.Motion, "misc": &f.Misc}[name]
		block := name == "imb" || name == "pmb" || name == "smb" || name == "icu" || name == "pcu" || name == "scu"
		if into == nil && !block {
			continue
		}
		x, err := strconv.ParseFloat(value, 64)
		if err != nil || math.IsNaN(x) || math.Abs(x) > 1e12 || x < 0 && name != "q" {
			return f, 0, errs.New(errs.Invalid, "rate", "statistics say %q", field)
		}
		if block {
			if blocks += x; name[0] == 'i' {
				intra = x
			}
			continue
		}
		*into = x
		seen++
	}
	if f.Type == 0 || seen < 4 || f.Scale > 100 || f.Scale < -100 {
		return f, 0, errs.New(errs.Invalid, "rate", "statistics break off at %.80q", line)
	}
	f.Scale = scaleOf(f.Scale)
	if blocks > 0 {
		f.Intra = intra / blocks
	}
	return f, ticks, nil
}

func fraction(text string, otherwise float64) float64 {
	a, b, ok := strings.Cut(text, "/")
	x, err := strconv.ParseFloat(a, 64)
	if err != nil {
		return otherwise
	}
	if !ok {
		return x
	}
	if y, err := strconv.ParseFloat(b, 64); err == nil && y > 0 {
		return x / y
	}
	return otherwise
}

// What is changed of a FIRSTPASS_STATS (vp9_firstpass.h of libvpx 1.8 and
// later): doubles, and an int64 last.
const (
	vpxDuration = 23 // in 100 ns
	vpxSize     = 8 * 26
)

// vpxRecords undoes FFmpeg's wrapping of libvpx's records, a picture each and
// their sum last.
func vpxRecords(text []byte) ([]byte, error) {
	raw, err := base64.StdEncoding.DecodeString(strings.TrimSpace(strings.TrimRight(string(text), "\x00")))
	if err != nil {
		return nil, errs.New(errs.Invalid, "rate", "statistics: %w", err)
	}
	if len(raw) < 2*vpxSize || len(raw)%vpxSize != 0 {
		return nil, errs.New(errs.Invalid, "rate", "%d bytes of statistics", len(raw))
	}
	return raw, nil
}

// Lasting corrects what a first pass wrote of its length into the log in dir.
// FFmpeg tells libvpx that every picture lasts one tick of the encoder's time
// base, which is finer here than a picture; libvpx would multiply the bit rate
// by that length. Other encoders count by timestamps, and their statistics are
// left as they are.
func Lasting(codec, dir string, seconds float64) error {
	if codec != "vp9" {
		return nil
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return errs.New(errs.Internal, "rate", "%w", err)
	}
	defer root.Close()
	text, err := root.ReadFile(Log)
	if err != nil {
		return errs.New(errs.Internal, "rate", "%w", err)
	}
	if text, err = lasting(text, seconds); err != nil {
		return err
	}
	if err = root.WriteFile(Log, text, 0o600); err != nil {
		return errs.New(errs.Internal, "rate", "%w", err)
	}
	return nil
}

func lasting(text []byte, seconds float64) ([]byte, error) {
	raw, err := vpxRecords(text)
	if err != nil {
		return nil, err
	}
	n := len(raw)/vpxSize - 1
	for i := range n + 1 {
		each := seconds / float64(n) * 1e7
		if i == n {
			each = seconds * 1e7
		}
		binary.LittleEndian.PutUint64(raw[i*vpxSize+8*vpxDuration:], math.Float64bits(each))
	}
	return []byte(base64.StdEncoding.EncodeToString(raw)), nil
}
