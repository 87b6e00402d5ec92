package ffmpeg

import (
	"encoding/json"
	"strconv"
	"strings"

	"github.com/mediafn/mediafn/core/media"
)

// answer is what ffprobe -of json prints, as far as it is read.
type answer struct {
	Format struct {
		Name      string            `json:"format_name"`
		StartTime number            `json:"start_time"`
		Duration  number            `json:"duration"`
		Size      number            `json:"size"`
		BitRate   number            `json:"bit_rate"`
		Tags      map[string]string `json:"tags"`
	} `json:"format"`
	Streams  []stream `json:"streams"`
	Chapters []struct {
		Start number            `json:"start_time"`
		End   number            `json:"end_time"`
		Tags  map[string]string `json:"tags"`
	} `json:"chapters"`
	Frames []struct {
		Stream   int        `json:"stream_index"`
		SideData []sideData `json:"side_data_list"`
	} `json:"frames"`
}

type stream struct {
	Index         int               `json:"index"`
	ID            string            `json:"id"`
	Type          string            `json:"codec_type"`
	Codec         string            `json:"codec_name"`
	Tag           string            `json:"codec_tag_string"`
	Profile       string            `json:"profile"`
	Level         int               `json:"level"`
	Width         int               `json:"width"`
	Height        int               `json:"height"`
	SAR           string            `json:"sample_aspect_ratio"`
	PixelFormat   string            `json:"pix_fmt"`
	BitsRaw       number            `json:"bits_per_raw_sample"`
	FieldOrder    string            `json:"field_order"`
	Range         string            `json:"color_range"`
	Primaries     string            `json:"color_primaries"`
	Transfer      string            `json:"color_transfer"`
	Matrix        string            `json:"color_space"`
	ChromaLoc     string            `json:"chroma_location"`
	TimeBase      string            `json:"time_base"`
	RFrameRate    string            `json:"r_frame_rate"`
	AvgRate       string            `json:"avg_frame_rate"`
	Frames        number            `json:"nb_frames"`
	StartTime     number            `json:"start_time"`
	Duration      number            `json:"duration"`
	DurationTicks int64             `json:"duration_ts"`
	BitRate       number            `json:"bit_rate"`
	HasB          int               `json:"has_b_frames"`
	SampleRate    number            `json:"sample_rate"`
	Channels      int               `json:"channels"`
	Layout        string            `json:"channel_layout"`
	SampleFormat  string            `json:"sample_fmt"`
	Bits          int               `json:"bits_per_sample"`
	Tags          map[string]string `json:"tags"`
	SideData      []sideData        `json:"side_data_list"`
	Disposition   struct {
		Default  int `json:"default"`
		Attached int `json:"attached_pic"`
	} `json:"disposition"`
}

type sideData struct {
	Type     string  `json:"side_data_type"`
	Matrix   string  `json:"displaymatrix"`
	Rotation float64 `json:"rotation"`
	RedX     string  `json:"red_x"`
	RedY     string  `json:"red_y"`
	GreenX   string  `json:"green_x"`
	GreenY   string  `json:"green_y"`
	BlueX    string  `json:"blue_x"`
	BlueY    string  `json:"blue_y"`
	WhiteX   string  `json:"white_point_x"`
	WhiteY   string  `json:"white_point_y"`
	MinLum   string  `json:"min_luminance"`
	MaxLum   string  `json:"max_luminance"`
	MaxCLL   int     `json:"max_content"`
	MaxFALL  int     `json:"max_average"`
}

// number is a JSON number or a string holding one; ffprobe prints both, and
// N/A or nothing where it does not know.
type number struct {
	value float64
	known bool
}

func (n *number) UnmarshalJSON(b []byte) error {
	s := strings.Trim(string(b), `"`)
	f, err := strconv.ParseFloat(s, 64)
	if err == nil && f-f == 0 { // finite
		n.value, n.known = f, true
	}
	return nil
}

func (n number) int() int64 {
	if n.value > 1<<62 || n.value < -1<<62 {
		return 0
	}
	return int64(n.value)
}

func parseAnswer(b []byte) (answer, error) {
	var a answer
	return a, json.Unmarshal(b, &a)
}

// rational reads 30000/1001 or 16:11. A zero part means unknown.
func rational(s string) media.Rational {
	num, den, ok := strings.Cut(strings.Replace(s, ":", "/", 1), "/")
	n, err1 := strconv.ParseInt(num, 10, 64)
	d, err2 := strconv.ParseInt(den, 10, 64)
	if !ok || err1 != nil || err2 != nil || d == 0 || n == 0 {
		return media.Rational{}
	}
	return media.Rational{Num: n, Den: d}
}

// fraction is rational for values of which zero is one.
func fraction(s string) media.Rational {
	r := rational(s)
	if !r.Known() && strings.HasPrefix(s, "0/") {
		if d, err := strconv.ParseInt(s[2:], 10, 64); err == nil && d > 0 {
			return media.Rational{Num: 0, Den: d}
		}
	}
	return r
}

// say drops the words ffprobe uses for not knowing.
func say(s string) string {
	switch s {
	case "unknown", "unspecified", "reserved", "N/A":
		return ""
	}
	return s
}
