package codec

import "github.com/mediafn/mediafn/core/errs"

// Audio is what an audio configuration tells. Zero means it does not say.
type Audio struct {
	Codec      string // where the configuration decides it: aac, mp3, …
	Profile    string
	Object     int // MPEG-4 audio object type
	SampleRate int // Hz
	Channels   int
}

var aacRates = [13]int{96000, 88200, 64000, 48000, 44100, 32000, 24000, 22050, 16000, 12000, 11025, 8000, 7350}

// AAC reads an AudioSpecificConfig (ISO/IEC 14496-3 §1.6.2.1). With explicitly
// signalled SBR the rate is the one after SBR, as a player hears it.
func AAC(b []byte) (Audio, error) {
	r := &bitReader{b: b}
	object := r.aacObject()
	rate := r.aacRate()
	ch := int(r.u(4))
	if r.over {
		return Audio{}, errs.New(errs.Invalid, op, "AAC configuration is truncated")
	}
	a := Audio{Codec: "aac", Object: int(object), SampleRate: rate}
	if ch < 8 {
		a.Channels = [...]int{0, 1, 2, 3, 4, 5, 6, 8}[ch]
	} else if ch == 11 {
		a.Channels = 7
	} else if ch == 12 || ch == 14 {
		a.Channels = 8
	}
	switch object {
	case 1:
		a.Profile = "Main"
	case 2:
		a.Profile = "LC"
	case 3:
		a.Profile = "SSR"
	case 4:
		a.Profile = "LTP"
	case 5:
		a.Profile, a.SampleRate = "HE-AAC", r.aacRate()
	case 29: // parametric stereo: one coded channel, two heard
		a.Profile, a.SampleRate, a.Channels = "HE-AACv2", r.aacRate(), 2
	case 23:
		a.Profile = "LD"
	case 39:
		a.Profile = "ELD"
	case 32, 33, 34:
		a.Codec = [...]string{"mp1", "mp2", "mp3"}[object-32]
	}
	return a, nil
}

func (r *bitReader) aacObject() uint32 {
	if o := r.u(5); o != 31 {
		return o
	}
	return 32 + r.u(6)
}

func (r *bitReader) aacRate() int {
	if i := r.u(4); i == 15 {
		return int(r.u(24))
	} else if int(i) < len(aacRates) {
		return aacRates[i]
	}
	return 0
}

// Layout is FFmpeg's default name for a number of channels, "" above eight.
func Layout(channels int) string {
	names := [...]string{"", "mono", "stereo", "2.1", "4.0", "5.0", "5.1", "6.1", "7.1"}
	if channels > 0 && channels < len(names) {
		return names[channels]
	}
	return ""
}
