package raster

import "testing"

func TestExifValue(t *testing.T) {
	for in, want := range map[string]string{
		"6 (Right-top, Short, 1 components, 2 bytes)":                                      "6",
		"someone (someone (Photographer) - [None] (Editor), ASCII, 8 components, 8 bytes)": "someone",
		"me (c) (me (c), ASCII, 7 components, 7 bytes)":                                    "me (c)",
		"no rendering (c)": "no rendering (c)",
		"":                 "",
	} {
		if got := exifValue(in); got != want {
			t.Errorf("%q: %q", in, got)
		}
	}
}
