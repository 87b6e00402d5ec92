package derive

import (
	"math"
	"strings"

	"github.com/mediafn/mediafn/core/errs"
	"github.com/mediafn/mediafn/core/media"
)

// pictureSize is the size of the scaled picture and, where it differs, of the
// box it is cut or padded to, for a displayed size of dw×dh.
func pictureSize(p *framesParams, dw, dh int) (w, h, boxW, boxH int) {
	round := func(f float64) int { return max(int(math.Round(f)), 1) }
	kx, ky := float64(p.Width)/float64(dw), float64(p.Height)/float64(dh)
	switch {
	case p.Fit == "stretch":
		w, h = p.Width, p.Height
		if w == 0 {
			w = dw
		}
		if h == 0 {
			h = dh
		}
		return w, h, w, h
	case p.Width == 0 && p.Height == 0:
		return dw, dh, dw, dh
	case p.Height == 0:
		ky = kx
	case p.Width == 0:
		kx = ky
	}
	k := min(kx, ky)
	if p.Fit == "cover" {
		k = max(kx, ky)
	}
	w, h = round(float64(dw)*k), round(float64(dh)*k)
	if p.Fit == "cover" || p.Fit == "pad" {
		return w, h, p.Width, p.Height
	}
	return w, h, w, h
}

// pictureFilters turns decoded, upright frames of track v into pictures of
// p's size and colours, as a chain for a filter graph. It holds numbers and
// fixed words only.
func pictureFilters(p *framesParams, v *media.VideoStream) string {
	dw, dh := v.DisplaySize()
	w, h, boxW, boxH := pictureSize(p, dw, dh)
	matrix, rng := sourceMatrix(v), v.Color.Range
	if rng == "" {
		rng = "tv"
	}
	if strings.HasPrefix(v.PixelFormat, "yuvj") {
		rng = "pc"
	}
	var chain []string
	if wide := toneMap(v, rng); wide != "" {
		chain = append(chain, sprintf("scale=%d:%d:flags=bicubic", w, h), wide)
		matrix, rng = "bt709", "tv"
	}
	// JPEG and WebP say nothing of matrix and range: their readers take JFIF's
	// BT.601, full range for JPEG and studio range for WebP. PNG is RGB.
	scale := sprintf("scale=%d:%d:flags=bicubic", w, h)
	if p.Format == "png" {
		scale += "+accurate_rnd+full_chroma_int" // 15 ms a 1080p picture, which a lossless one is worth
	}
	if !isRGB(v.PixelFormat) {
		scale += sprintf(":in_color_matrix=%s:in_range=%s", matrix, rng)
	}
	pixels := "rgb24"
	switch p.Format {
	case "jpg":
		scale += ":out_color_matrix=bt601:out_range=pc"
		pixels = "yuvj420p"
	case "webp":
		scale += ":out_color_matrix=bt601:out_range=tv"
		pixels = "yuv420p"
	}
	chain = append(chain, scale, "format="+pixels)
	switch {
	case p.Fit == "cover" && (w != boxW || h != boxH):
		chain = append(chain, sprintf("crop=%d:%d:exact=1", boxW, boxH))
	case p.Fit == "pad" && (w != boxW || h != boxH):
		chain = append(chain, sprintf("pad=%d:%d:(ow-iw)/2:(oh-ih)/2:black", boxW, boxH))
	}
	return strings.Join(append(chain, "setsar=1"), ",")
}

func isRGB(pixelFormat string) bool {
	for _, name := range []string{"rgb", "bgr", "gbr", "argb", "abgr", "0rgb", "0bgr", "pal8", "gray"} {
		if strings.HasPrefix(pixelFormat, name) {
			return true
		}
	}
	return false
}

// sourceMatrix names the matrix of track v for the scale filter. Where the
// stream does not say, the convention of players holds: BT.709 from 720 lines
// on, BT.601 below.
func sourceMatrix(v *media.VideoStream) string {
	switch v.Color.Matrix {
	case "bt709", "fcc", "smpte170m", "smpte240m":
		return v.Color.Matrix
	case "bt470bg":
		return "bt470"
	case "bt2020nc", "bt2020c":
		return "bt2020"
	}
	if min(v.Width, v.Height) >= 720 {
		return "bt709"
	}
	return "bt601"
}

// toneMap maps pictures in BT.2020 or with an HDR transfer to BT.709 SDR;
// empty where v needs no mapping. Hable's curve at 100 cd/m² is FFmpeg's own
// advice; the gamut is mapped in linear light. The frames are labelled first:
// zscale given the source's spaces as options still trusts the frame's label
// later on and finds no path.
func toneMap(v *media.VideoStream, rng string) string {
	transfer := v.Color.Transfer
	hdr := transfer == "smpte2084" || transfer == "arib-std-b67"
	if !hdr && v.Color.Primaries != "bt2020" {
		return ""
	}
	if !hdr {
		transfer = "bt709"
	}
	matrix := v.Color.Matrix
	switch matrix {
	case "bt2020nc", "bt2020c", "bt709", "smpte170m", "bt470bg":
	default:
		matrix = "bt2020nc"
	}
	if isRGB(v.PixelFormat) {
		matrix = "gbr"
	}
	label := sprintf("setparams=range=%s:color_primaries=bt2020:color_trc=%s:colorspace=%s,", rng, transfer, matrix)
	if !hdr {
		return label + "zscale=p=bt709:t=bt709:m=bt709:r=limited,format=yuv420p"
	}
	return label + "zscale=t=linear:npl=100,format=gbrpf32le,zscale=p=bt709," +
		"tonemap=tonemap=hable:desat=0,zscale=t=bt709:m=bt709:r=limited,format=yuv420p"
}

// checkFilters answers Unsupported where v needs its colours mapped and FFmpeg
// lacks a filter that takes: a picture without would look washed out.
func checkFilters(v *media.VideoStream, has func(name string) (bool, error)) error {
	chain := toneMap(v, "tv")
	for _, name := range []string{"zscale", "tonemap"} {
		if !strings.Contains(chain, name+"=") {
			continue
		}
		if ok, err := has(name); err != nil {
			return err
		} else if !ok {
			return errs.New(errs.Unsupported, "derive.frames", "pictures in BT.2020 or HDR need FFmpeg's filter %s, which this build lacks", name)
		}
	}
	return nil
}

// jpegScale is FFmpeg's quantiser whose mean step is that of libjpeg at the
// given quality: libjpeg scales its table (mean 58) by 50/q below 50 and 2−q/50
// above, FFmpeg its own (mean 27) by qscale/8.
func jpegScale(quality int) float64 {
	percent := 200 - 2*float64(quality)
	if quality < 50 {
		percent = 5000 / float64(quality)
	}
	return math.Round(min(max(0.17*percent, 1), 31)*100) / 100
}
