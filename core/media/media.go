// Package media holds the nouns of the trade: what a piece of media is, where
// it lies, and what is known about it. It does no I/O.
package media

import (
	"encoding/json"
	"fmt"
	"math"
	"strconv"
	"strings"
)

// Kind is what a piece of media is to a function's signature.
type Kind string

const (
	Image   Kind = "image"
	Video   Kind = "video"
	Audio   Kind = "audio"
	Text    Kind = "text"    // JSON facts, a verdict, a script, subtitles
	Package Kind = "package" // many files that belong together, such as HLS
	Stream  Kind = "stream"  // something that has no end yet
	Data    Kind = "data"    // a file only our own functions read, such as an encoder's statistics
)

// Ref says where media lies: at a URL, or in a bucket of a named store.
// Exactly one of URL and Bucket+Key is set; beside the latter, Upload may name
// the upload that brings the object there. Field names are the wire format's.
type Ref struct {
	URL    string `json:"url,omitempty"`
	Type   string `json:"type,omitempty"` // a Kind or a MIME type, as the caller declares it; never trusted
	Cloud  string `json:"cloud,omitempty"`
	Bucket string `json:"bucket,omitempty"`
	Key    string `json:"key,omitempty"`
	Upload string `json:"upload,omitempty"` // id; until it is done the object is not there
}

// Piece is a run of bytes of something larger, stored as an object of its own.
type Piece struct {
	Key   string `json:"key"`
	Start int64  `json:"start"` // of its first byte in the whole
	Size  int64  `json:"size"`
}

func (r Ref) String() string {
	if r.URL != "" {
		return r.URL
	}
	return r.Cloud + ":" + r.Bucket + "/" + r.Key
}

// Object is a stored file and what the store and the sniffer say of it.
type Object struct {
	Ref
	Name   string `json:"name,omitempty"` // file name inside its event, "out.mp4", "00012.jpg", "video/720p.mp4"
	Kind   Kind   `json:"kind,omitempty"`
	Mime   string `json:"mime,omitempty"`
	Size   int64  `json:"file_size"`
	SHA256 string `json:"sha256,omitempty"`
}

// Rational is an exact fraction: a frame rate, a time base, an aspect ratio.
// The zero value means unknown.
type Rational struct {
	Num int64
	Den int64
}

func (r Rational) Known() bool { return r.Den != 0 }

func (r Rational) Float() float64 {
	if r.Den == 0 {
		return 0
	}
	return float64(r.Num) / float64(r.Den)
}

func (r Rational) String() string { return fmt.Sprintf("%d/%d", r.Num, r.Den) }

func (r Rational) MarshalText() ([]byte, error) { return []byte(r.String()), nil }

func (r *Rational) UnmarshalText(b []byte) error {
	num, den, ok := strings.Cut(strings.Replace(string(b), ":", "/", 1), "/")
	n, nerr := strconv.ParseInt(num, 10, 64)
	d, derr := strconv.ParseInt(den, 10, 64)
	if !ok || nerr != nil || derr != nil {
		return fmt.Errorf("%q is not a fraction", b)
	}
	r.Num, r.Den = n, d
	return nil
}

// Reduce divides out the greatest common divisor and makes Den positive.
func (r Rational) Reduce() Rational {
	a, b := r.Num, r.Den
	for b != 0 {
		a, b = b, a%b
	}
	if a == 0 {
		return r
	}
	if (a < 0) != (r.Den < 0) {
		a = -a
	}
	return Rational{r.Num / a, r.Den / a}
}

// Seconds converts a tick count in time base r to seconds.
func (r Rational) Seconds(ticks int64) float64 {
	return float64(ticks) * float64(r.Num) / float64(r.Den)
}

// Ticks converts seconds to the nearest tick of time base r.
func (r Rational) Ticks(seconds float64) int64 {
	return int64(math.Round(seconds * float64(r.Den) / float64(r.Num)))
}

// Span is a half-open range of time in seconds: Start ≤ t < End.
type Span struct {
	Start float64 `json:"start"`
	End   float64 `json:"end"`
}

// Region is a rectangle in displayed pixels, origin top left.
type Region struct {
	X int `json:"x"`
	Y int `json:"y"`
	W int `json:"w"`
	H int `json:"h"`
}

// Fact is one thing found in media: an object, a text, a face, a label.
type Fact struct {
	Label  string  `json:"label"`
	Score  float64 `json:"score"` // 0–1
	At     *Span   `json:"at,omitempty"`
	Region *Region `json:"region,omitempty"`
	Text   string  `json:"text,omitempty"`
}

// Verdict is a judgement about media: pass, review by a person, or block.
type Verdict struct {
	Result string  `json:"result"` // pass | review | block
	Label  string  `json:"label,omitempty"`
	Score  float64 `json:"score"`
	Facts  []Fact  `json:"facts,omitempty"`
}

// Document is a JSON value that travels between components: facts, a plan.
type Document = json.RawMessage
