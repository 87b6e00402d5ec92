package task

import (
	"slices"
	"testing"

	"github.com/mediafn/mediafn/core/job"
	"github.com/mediafn/mediafn/core/media"
)

// In a common folder files keep their names and the folders in them; where two
// components gave one name, these come in folders of their own.
func TestNamesInAFolder(t *testing.T) {
	at := func(key, name string) job.Input {
		return job.Input{Ref: media.Ref{Bucket: "results", Key: key}, Name: name}
	}
	files := []job.Input{
		at("T/Package/tr1/master.m3u8", ""), at("T/Package/tr1/video/720p.m3u8", "video/720p.m3u8"),
		at("T/A/tr2/x.jpg", ""), at("T/B/3/tr4/x.jpg", ""), at("T/A/tr2/v/y.mp4", "v/y.mp4"), at("T/B/tr3/v/y.mp4", "v/y.mp4"),
	}
	want := []string{"film/master.m3u8", "film/video/720p.m3u8", "film/A/x.jpg", "film/B/3/x.jpg", "film/A/v/y.mp4", "film/B/v/y.mp4"}
	places, err := targets([]media.Ref{{Bucket: "mine", Key: "film/"}}, files)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, p := range places {
		got = append(got, p.Key)
	}
	if !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}
