package matrix_test

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// facts are what ffprobe, which is no part of mediafn, says of a file.
type facts struct {
	tags  map[string]string // everything a player goes by, by name
	times []float64         // of the pictures as presented, rising, in seconds
	tick  float64           // seconds of one tick of the picture track
	sound int               // tracks
	size  int64             // bytes
}

// start is when the first picture is shown.
func (f *facts) start() float64 { return f.times[0] }

// probed reads tables and packets of a file, and the first picture's data.
func probed(t *testing.T, path string) *facts {
	t.Helper()
	var a struct {
		Format struct {
			Size string            `json:"size"`
			Tags map[string]string `json:"tags"`
		} `json:"format"`
		Streams []struct {
			Type        string           `json:"codec_type"`
			Codec       string           `json:"codec_name"`
			Profile     string           `json:"profile"`
			Pixels      string           `json:"pix_fmt"`
			Width       int              `json:"width"`
			Height      int              `json:"height"`
			SAR         string           `json:"sample_aspect_ratio"`
			Fields      string           `json:"field_order"`
			Range       string           `json:"color_range"`
			Matrix      string           `json:"color_space"`
			Transfer    string           `json:"color_transfer"`
			Primaries   string           `json:"color_primaries"`
			Chroma      string           `json:"chroma_location"`
			TimeBase    string           `json:"time_base"`
			SampleRate  string           `json:"sample_rate"`
			Channels    int              `json:"channels"`
			Disposition map[string]int   `json:"disposition"`
			Tags        map[string]any   `json:"tags"`
			SideData    []map[string]any `json:"side_data_list"`
		} `json:"streams"`
		Chapters []struct {
			Start string            `json:"start_time"`
			End   string            `json:"end_time"`
			Tags  map[string]string `json:"tags"`
		} `json:"chapters"`
		Packets []struct {
			PTS   *int64 `json:"pts"`
			Flags string `json:"flags"`
		} `json:"packets"`
	}
	ask := func(v any, what ...string) {
		t.Helper()
		out, err := exec.Command("ffprobe", append(append([]string{"-v", "error", "-of", "json"}, what...), path)...).Output()
		if err == nil {
			err = json.Unmarshal(out, v)
		}
		if err != nil {
			t.Fatalf("ffprobe %s: %v", path, err)
		}
	}
	// Streams can be selected for all sections or for none: packets of pictures
	// come apart.
	ask(&a, "-show_format", "-show_streams", "-show_chapters")
	ask(&a, "-select_streams", "V:0", "-show_entries", "packet=pts,flags")

	f := &facts{tags: map[string]string{"title": a.Format.Tags["title"]}}
	f.size, _ = strconv.ParseInt(a.Format.Size, 10, 64)
	numbers := map[string]int{}
	for _, s := range a.Streams {
		name := fmt.Sprintf("%s %d ", s.Type, numbers[s.Type])
		numbers[s.Type]++
		language, _ := s.Tags["language"].(string)
		if language == "und" {
			language = ""
		}
		f.tags[name+"codec"], f.tags[name+"language"] = s.Codec, language
		switch s.Type {
		case "video":
			num, den, _ := strings.Cut(s.TimeBase, "/")
			n, _ := strconv.ParseFloat(num, 64)
			d, _ := strconv.ParseFloat(den, 64)
			f.tick = n / d
			sar := s.SAR
			if sar == "" || sar == "0:1" {
				sar = "1:1"
			}
			for k, v := range map[string]string{"profile": s.Profile, "pixels": s.Pixels, "size": fmt.Sprintf("%dx%d", s.Width, s.Height), "SAR": sar, "fields": s.Fields,
				"range": cmp.Or(s.Range, "tv"), "matrix": s.Matrix, "transfer": s.Transfer, "primaries": s.Primaries, "chroma": s.Chroma} {
				f.tags[name+k] = cmp.Or(v, "unknown")
			}
			for _, d := range s.SideData {
				if kind := fmt.Sprint(d["side_data_type"]); kind == "Display Matrix" {
					f.tags[name+"rotation"] = fmt.Sprint(d["rotation"])
				}
			}
		case "audio":
			f.sound++
			f.tags[name+"layout"] = fmt.Sprintf("%s Hz, %d channels", s.SampleRate, s.Channels)
		}
	}
	for i, c := range a.Chapters {
		f.tags[fmt.Sprintf("chapter %d", i)] = fmt.Sprintf("%s–%s %s", seconds(c.Start), seconds(c.End), c.Tags["title"])
	}
	if f.tags["video 0 transfer"] == "smpte2084" {
		var first struct {
			Frames []struct {
				SideData []map[string]any `json:"side_data_list"`
			} `json:"frames"`
		}
		ask(&first, "-select_streams", "V:0", "-read_intervals", "%+#1", "-show_entries", "frame=side_data_list")
		for _, d := range first.Frames[0].SideData {
			kind := fmt.Sprint(d["side_data_type"])
			if kind != "Mastering display metadata" && kind != "Content light level metadata" {
				continue
			}
			delete(d, "side_data_type")
			for _, k := range slices.Sorted(maps.Keys(d)) {
				f.tags["HDR "+k] = fmt.Sprint(d[k])
			}
		}
	}
	for _, p := range a.Packets {
		if p.PTS != nil && !strings.Contains(p.Flags, "D") { // D: decoded only to get to others
			f.times = append(f.times, float64(*p.PTS)*f.tick)
		}
	}
	slices.Sort(f.times)
	if len(f.times) == 0 {
		t.Fatalf("%s has no pictures", path)
	}
	return f
}

// seconds rounds a time to what every container holds.
func seconds(s string) string {
	f, _ := strconv.ParseFloat(s, 64)
	return strconv.FormatFloat(math.Round(f*1000)/1000, 'f', -1, 64)
}

// differ lists what is tagged otherwise in b than in a, of the names that want
// accepts.
func differ(a, b *facts, want func(name string) bool) (all []string) {
	names := maps.Clone(a.tags)
	maps.Copy(names, b.tags)
	for _, k := range slices.Sorted(maps.Keys(names)) {
		if want(k) && a.tags[k] != b.tags[k] {
			all = append(all, fmt.Sprintf("%s is %q, not %q", k, b.tags[k], a.tags[k]))
		}
	}
	return all
}

// simultaneous says how the pictures of b lie otherwise in time than those of
// a; nothing if they do not. Containers may count in different ticks.
func simultaneous(a, b *facts) error {
	if len(a.times) != len(b.times) {
		return fmt.Errorf("%d frames, not %d", len(b.times), len(a.times))
	}
	within := max(a.tick, b.tick)/2 + 1e-9
	for i := range a.times {
		if math.Abs(a.times[i]-b.times[i]) > within {
			return fmt.Errorf("frame %d at %.6f s, not %.6f s", i, b.times[i], a.times[i])
		}
	}
	return nil
}
