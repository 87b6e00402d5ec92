package cmaf

import (
	"bytes"
	"math"
	"slices"
	"testing"

	"github.com/Eyevinn/mp4ff/mp4"

	"github.com/mediafn/mediafn/core/errs"
	"github.com/mediafn/mediafn/tools/container/isobmff"
)

// sample description of a sound track, as small as one can be.
func description() []byte {
	var b box
	b.full("stsd", 0, 0)
	b.u32(1)
	b.begin("fLaC")
	b.u32(0, 1, 0, 0, 2<<16|16, 0, 48000<<16)
	b.full("dfLa", 0, 0)
	b.u32(0x80000022)
	b.bytes = append(b.bytes, make([]byte, 34)...)
	b.end()
	b.end()
	b.end()
	return b.bytes[8:]
}

// Another library reads what is written, whichever columns the table needs.
func TestFragmentsAreRead(t *testing.T) {
	track := Track{Track: &isobmff.Track{Handler: "soun", Timescale: 48000, Language: "deu", Descriptions: description()}, Skip: 1024}
	even := []Sample{{0, 0, 10, 3, true}, {10, 10, 10, 4, true}, {20, 20, 10, 5, true}}
	for name, samples := range map[string][]Sample{
		"all alike":            even,
		"one":                  even[:1],
		"durations":            {{0, 0, 10, 3, true}, {10, 10, 11, 4, true}},
		"first is a key":       {{0, 0, 10, 3, true}, {10, 10, 10, 4, false}, {20, 20, 10, 5, false}},
		"a key inside":         {{0, 0, 10, 3, true}, {10, 10, 10, 4, false}, {20, 20, 10, 5, true}, {30, 30, 10, 1, false}},
		"no key":               {{0, 0, 10, 3, false}, {10, 10, 10, 4, false}},
		"shown in other order": {{5, 5, 10, 3, true}, {15, 35, 10, 4, false}, {25, 15, 10, 5, false}, {35, 25, 10, 5, false}},
		"late":                 {{1 << 40, 1 << 40, 10, 3, true}},
	} {
		for _, styp := range []bool{false, true} {
			head, err := Fragment(7, samples, styp)
			if err != nil {
				t.Fatal(err)
			}
			file := append(track.Init(), head...)
			var data []byte
			for i, s := range samples {
				data = append(data, bytes.Repeat([]byte{byte('a' + i)}, int(s.Size))...)
			}
			f, err := mp4.DecodeFile(bytes.NewReader(append(file, data...)))
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			if e := f.Init.Moov.Trak.Edts.Elst[0].Entries[0]; e.MediaTime != 1024 || f.Init.Moov.Trak.Mdia.Mdhd.GetLanguage() != "deu" {
				t.Errorf("%s: %+v", name, e)
			}
			fr := f.Segments[0].Fragments[0]
			all, err := fr.GetFullSamples(f.Init.Moov.Mvex.Trex)
			if err != nil || len(all) != len(samples) || fr.Moof.Mfhd.SequenceNumber != 7 || (f.Segments[0].Styp != nil) != styp {
				t.Fatalf("%s: %d of %d samples: %v", name, len(all), len(samples), err)
			}
			for i, s := range samples {
				got := Sample{int64(all[i].DecodeTime), int64(all[i].DecodeTime) + int64(all[i].CompositionTimeOffset), int64(all[i].Dur), int32(all[i].Size), all[i].IsSync()}
				if got != s || !bytes.Equal(all[i].Data, bytes.Repeat([]byte{byte('a' + i)}, int(s.Size))) {
					t.Errorf("%s: sample %d is %+v %q, was %+v", name, i, got, all[i].Data, s)
				}
			}
		}
	}
}

func TestIndexIsRead(t *testing.T) {
	refs := []Reference{{1000, 96000}, {2000, 95000}}
	raw, err := Index(48000, 12, refs)
	if err != nil {
		t.Fatal(err)
	}
	b, err := mp4.DecodeBox(0, bytes.NewReader(raw))
	if err != nil {
		t.Fatal(err)
	}
	sidx := b.(*mp4.SidxBox)
	var got []Reference
	for _, r := range sidx.SidxRefs {
		got = append(got, Reference{int64(r.ReferencedSize), int64(r.SubSegmentDuration)})
	}
	if sidx.Timescale != 48000 || sidx.EarliestPresentationTime != 12 || !slices.Equal(got, refs) {
		t.Errorf("%+v", sidx)
	}
}

func TestLimits(t *testing.T) {
	if _, err := Fragment(1, nil, false); !errs.Is(err, errs.Internal) {
		t.Error(err)
	}
	if _, err := Fragment(1, []Sample{{Size: math.MaxInt32}, {Size: math.MaxInt32}, {Size: 100}}, false); !errs.Is(err, errs.TooLarge) {
		t.Error(err)
	}
	if _, err := Index(1, 0, make([]Reference, 70_000)); !errs.Is(err, errs.TooLarge) {
		t.Error(err)
	}
	if _, err := Index(1, 0, []Reference{{Size: 1 << 32}}); !errs.Is(err, errs.TooLarge) {
		t.Error(err)
	}
}
