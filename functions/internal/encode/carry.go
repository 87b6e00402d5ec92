package encode

import (
	"bytes"
	"encoding/binary"
	"io"
	"slices"

	"github.com/mediafn/mediafn/core/errs"
)

// carry.go: what containers take over from a source without encoding.

// Subtitle is how a subtitle track of a codec (FFmpeg's name) is written into
// a container (mp4, mov, mkv, webm): "copy", or the encoder that converts the
// text. Empty: it cannot be kept. Pictures are never turned into text.
func Subtitle(codec, container string) string { return subtitles[container][codec] }

var timedText = map[string]string{"mov_text": "copy", "subrip": "mov_text", "ass": "mov_text", "ssa": "mov_text", "webvtt": "mov_text"}

var subtitles = map[string]map[string]string{
	"mp4": timedText, "mov": timedText,
	"mkv": {"subrip": "copy", "ass": "copy", "ssa": "copy", "webvtt": "copy", "hdmv_pgs_subtitle": "copy", "dvd_subtitle": "copy", "dvb_subtitle": "copy",
		"mov_text": "srt"},
	"webm": {"webvtt": "copy", "subrip": "webvtt", "ass": "webvtt", "ssa": "webvtt", "mov_text": "webvtt"},
}

// copied lists the sound codecs (FFmpeg's names) each container takes as they
// are and players know there.
var copied = map[string][]string{
	"mp4":  {"aac", "mp3", "mp2", "ac3", "eac3", "alac", "opus", "flac", "vorbis", "dts"},
	"mov":  {"aac", "mp3", "mp2", "ac3", "eac3", "alac", "adpcm_ima_qt", "pcm_mulaw", "pcm_alaw"},
	"mkv":  {"aac", "mp3", "mp2", "ac3", "eac3", "alac", "opus", "flac", "vorbis", "dts", "truehd", "mlp", "wavpack", "tta"},
	"webm": {"opus", "vorbis"},
}

// pcm lists the PCM layouts that files hold.
var pcm = map[string][]string{
	"mov": {"pcm_s16le", "pcm_s24le", "pcm_s32le", "pcm_f32le", "pcm_f64le", "pcm_s16be", "pcm_s24be", "pcm_s32be", "pcm_f32be", "pcm_f64be", "pcm_u8", "pcm_s8"},
	"mkv": {"pcm_s16le", "pcm_s24le", "pcm_s32le", "pcm_f32le", "pcm_f64le", "pcm_s16be", "pcm_s24be", "pcm_s32be", "pcm_u8"},
}

// SoundSlice names the muxer of a file that carries copied sound tracks of
// these codecs from a slice of sound to the merge: mp4 or mov. Empty: neither
// takes them all.
func SoundSlice(codecs []string) string {
	for _, c := range []string{"mp4", "mov"} {
		if !slices.ContainsFunc(codecs, func(codec string) bool { return CheckCopy(codec, c) != nil }) {
			return c
		}
	}
	return ""
}

// CheckCopy tests whether a sound track of a codec can be copied into a
// container. If not, the error is Unsupported and blames params.audio_codec.
func CheckCopy(codec, container string) error {
	if slices.Contains(copied[container], codec) || slices.Contains(pcm[container], codec) {
		return nil
	}
	return &errs.Error{Kind: errs.Unsupported, Op: "encode", Field: "params.audio_codec",
		Msg: "the source's sound (" + codec + ") cannot be copied into " + container}
}

// OpusDelay finds how many samples, at 48 kHz, an Opus stream says to drop in
// front (RFC 7845 §4.2), from the head of the file.
// 312, what libopus needs, if the head does not say.
func OpusDelay(r io.ReaderAt, size int64) int {
	const usual, window = 312, 1 << 20
	for _, at := range []int64{0, max(size-window, 0)} { // an mp4's index may stand at the end
		b := make([]byte, min(window, size))
		n, _ := r.ReadAt(b, at)
		b = b[:n]
		// OpusHead: magic, version, channels, pre-skip little-endian; dOps: big-endian.
		if i := bytes.Index(b, []byte("OpusHead")); i >= 0 && len(b) >= i+12 {
			return int(binary.LittleEndian.Uint16(b[i+10:]))
		}
		if i := bytes.Index(b, []byte("dOps")); i >= 0 && len(b) >= i+8 {
			return int(binary.BigEndian.Uint16(b[i+6:]))
		}
	}
	return usual
}

// OpusShift is by how many seconds copied Opus sound must be moved on its way
// into a container. Matroska's times include the delay, which FFmpeg 5.1
// subtracts on reading and does not add on writing: every copy would come out
// 6.5 ms early. delay is OpusDelay's.
func OpusShift(container string, delay int) float64 {
	if container != "mkv" && container != "webm" {
		return 0
	}
	return float64(delay) / 48000
}
