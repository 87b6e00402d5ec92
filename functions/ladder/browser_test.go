package ladder

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/mediafn/mediafn/functions/internal/fnrig"
	"github.com/mediafn/mediafn/internal/testparts"
)

// seen is what a player in a browser tells at the end.
type seen struct {
	Faults   []string `json:"faults"`
	Widths   []int    `json:"widths"`   // of pictures, as they changed
	Advanced int      `json:"advanced"` // how often the clock was seen to go on
	Levels   int      `json:"levels"`
	Sounds   int      `json:"sounds"`
	Texts    int      `json:"texts"`
	Switched bool     `json:"switched"`
	Ended    bool     `json:"ended"`
	Time     float64  `json:"time"`
	Duration float64  `json:"duration"`
	Frames   int      `json:"frames"`
	Sound    int      `json:"sound"` // bytes decoded
	Pictures int      `json:"pictures"`
}

// patience is for a browser on a machine with other things to do.
const patience = 90 * time.Second

// A browser plays both manifests from beginning to end, sound and pictures, and
// goes from one rendition to the other on the way, whether segments are ranges or
// files.
func TestBrowserPlays(t *testing.T) {
	t.Parallel()
	r := fnrig.New(t)
	src := titled(t, film(t, "25.mp4", "25"))
	dir, _ := whole(t, r, hls, two+`,"dash":true,"subtitles":"keep"}`, src)
	files, _ := whole(t, r, dash, two+`,"hls":true,"segments":"files","subtitles":"keep"}`, src)
	for _, c := range []struct{ player, script, dir, manifest string }{
		{"hls", "hls.js", dir, "master.m3u8"},
		{"dash", "dashjs", dir, "manifest.mpd"},
		{"hls", "hls.js", files, "master.m3u8"},
		{"dash", "dashjs", files, "manifest.mpd"},
	} {
		t.Run(filepath.Base(c.dir)+" "+c.manifest, func(t *testing.T) {
			s := browse(t, c.dir, c.player, c.script, c.manifest)
			switch {
			case len(s.Faults) > 0:
				t.Error(strings.Join(s.Faults, "\n"))
			case !s.Ended || s.Duration < 6.9 || s.Duration > 7.1 || s.Time < 6.9 || s.Advanced < 3:
				t.Errorf("it did not play to the end: %+v", s)
			case s.Frames < 100 || s.Pictures == 0 || s.Sound == 0:
				t.Errorf("pictures or sound were not decoded: %+v", s)
			case s.Levels != 2 || s.Sounds != 2 || s.Texts != 1:
				t.Errorf("two renditions, two languages and subtitles are there: %+v", s)
			case !s.Switched || len(s.Widths) < 2 || s.Widths[0] != 160 || s.Widths[len(s.Widths)-1] != 106:
				t.Errorf("it did not switch: %+v", s)
			}
		})
	}
}

// browse serves a package and has a browser play it.
func browse(t *testing.T, dir, player, script, manifest string) seen {
	t.Helper()
	code := testparts.Script(t, "../..", script)
	told := make(chan seen, 1)
	mux := http.NewServeMux()
	mux.Handle("GET /package/", http.StripPrefix("/package/", http.FileServer(http.Dir(dir))))
	mux.HandleFunc("GET /player.js", func(w http.ResponseWriter, q *http.Request) { http.ServeFile(w, q, code) })
	mux.HandleFunc("GET /player.html", func(w http.ResponseWriter, q *http.Request) { http.ServeFile(w, q, "testdata/player.html") })
	mux.HandleFunc("POST /seen", func(_ http.ResponseWriter, q *http.Request) {
		var s seen
		if err := json.NewDecoder(q.Body).Decode(&s); err != nil {
			s.Faults = []string{err.Error()}
		}
		select {
		case told <- s:
		default:
		}
	})
	server := httptest.NewServer(mux)
	defer server.Close()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	ended := testparts.Browser(ctx, t, fmt.Sprintf("%s/player.html?player=%s&url=%s", server.URL, player, url.QueryEscape("/package/"+manifest)))
	select {
	case s := <-told:
		cancel()
		<-ended
		return s
	case said := <-ended:
		t.Fatalf("the browser told nothing: %s", said)
	}
	return seen{}
}
