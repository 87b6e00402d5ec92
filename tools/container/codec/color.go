package codec

import "github.com/mediafn/mediafn/core/media"

// Code points of ITU-T H.273 under FFmpeg's names; "" is reserved or says
// nothing.
var (
	primaries = [23]string{1: "bt709", 4: "bt470m", 5: "bt470bg", 6: "smpte170m", 7: "smpte240m", 8: "film",
		9: "bt2020", 10: "smpte428", 11: "smpte431", 12: "smpte432", 22: "ebu3213"}
	transfers = [19]string{1: "bt709", 4: "bt470m", 5: "bt470bg", 6: "smpte170m", 7: "smpte240m", 8: "linear", 9: "log100",
		10: "log316", 11: "iec61966-2-4", 12: "bt1361e", 13: "iec61966-2-1", 14: "bt2020-10", 15: "bt2020-12",
		16: "smpte2084", 17: "smpte428", 18: "arib-std-b67"}
	matrices = [15]string{0: "gbr", 1: "bt709", 4: "fcc", 5: "bt470bg", 6: "smpte170m", 7: "smpte240m", 8: "ycgco",
		9: "bt2020nc", 10: "bt2020c", 11: "smpte2085", 12: "chroma-derived-nc", 13: "chroma-derived-c", 14: "ictcp"}
	chromaLocs = [6]string{"left", "center", "topleft", "top", "bottomleft", "bottom"}
)

// Colour names H.273 code points. Range is left for the caller.
func Colour(prim, trc, matrix int) media.Color {
	var c media.Color
	if prim >= 0 && prim < len(primaries) {
		c.Primaries = primaries[prim]
	}
	if trc >= 0 && trc < len(transfers) {
		c.Transfer = transfers[trc]
	}
	if matrix >= 0 && matrix < len(matrices) {
		c.Matrix = matrices[matrix]
	}
	return c
}

// Range names the full-range flag of H.273.
func Range(full bool) string {
	if full {
		return "pc"
	}
	return "tv"
}

// ChromaLoc names a chroma_sample_loc_type.
func ChromaLoc(t int) string {
	if t >= 0 && t < len(chromaLocs) {
		return chromaLocs[t]
	}
	return ""
}
