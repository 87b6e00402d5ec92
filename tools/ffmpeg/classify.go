package ffmpeg

import (
	"slices"
	"strings"

	"github.com/mediafn/mediafn/core/errs"
)

// A rule reads one of FFmpeg's messages. FFmpeg's exit code is 1 for nearly
// everything, and 0 for some failures; only the text tells.
type rule struct {
	text string // part of a line
	kind errs.Kind
}

// rules are ordered: what went wrong outside comes before what it led to. A
// broken connection also makes the media look invalid; a forbidden protocol
// is also reported as an invalid argument. Texts are those of FFmpeg 5.1–7.1.
var rules = []rule{
	{"No space left on device", errs.Transient},
	{"Disk quota exceeded", errs.Transient},
	{"Connection refused", errs.Transient},
	{"Connection reset", errs.Transient},
	{"Connection timed out", errs.Transient},
	{"Broken pipe", errs.Transient},
	{"Network is unreachable", errs.Transient},
	{"Server returned 5XX", errs.Transient},
	{"HTTP error 5", errs.Transient},
	{"HTTP error 429", errs.Transient},
	{"Failed to reconnect at", errs.Transient},
	{"Stream ends prematurely", errs.Transient},
	{"Input/output error", errs.Transient},
	{"Resource temporarily unavailable", errs.Transient},
	{"Too many open files", errs.Transient},

	{"Server returned 404", errs.NotFound},
	{"HTTP error 404", errs.NotFound},
	{"Server returned 403", errs.Denied},
	{"Server returned 401", errs.Denied},
	{"not on whitelist", errs.Denied},
	{"Permission denied", errs.Denied},
	{"Operation not permitted", errs.Denied},

	{"Cannot allocate memory", errs.TooLarge},
	{"malloc of size", errs.TooLarge},
	{"Out of memory", errs.TooLarge},
	{"exceeds specified max pixel count", errs.TooLarge},
	{"Picture size", errs.TooLarge}, // "Picture size WxH is invalid"
	{"picture size too big", errs.TooLarge},
	{"File too large", errs.TooLarge},

	{"Unknown encoder", errs.Unsupported},
	{"Unknown decoder", errs.Unsupported},
	{"Decoder (codec", errs.Unsupported}, // "Decoder (codec none) not found for input stream #0:2"
	{"no decoder found for", errs.Unsupported},
	{"Cannot find a matching stream", errs.Invalid},
	{"Encoder not found", errs.Unsupported},
	{"encoder not found", errs.Unsupported},
	{"Decoder not found", errs.Unsupported},
	{"Automatic encoder selection failed", errs.Unsupported},
	{"Unknown pixel format", errs.Unsupported},
	{"Specified pixel format", errs.Unsupported}, // "… is invalid or not supported"
	{"No such filter", errs.Unsupported},
	{"Unknown input format", errs.Unsupported},
	{"is not a suitable output format", errs.Unsupported},
	{"Not yet implemented in FFmpeg", errs.Unsupported},
	{"not compiled", errs.Unsupported},
	{"Protocol not found", errs.Unsupported},
	{"Could not find tag for codec", errs.Unsupported}, // codec and container do not go together
	{"are supported for WebM", errs.Unsupported},
	{"Unsupported codec", errs.Unsupported},

	{"Unrecognized option", errs.Internal},
	{"Option not found", errs.Internal},
	{"Error splitting the argument list", errs.Internal},
	{"Error parsing", errs.Internal},

	{"moov atom not found", errs.Invalid},
	{"Invalid data found when processing input", errs.Invalid},
	{"could not find codec parameters", errs.Invalid},
	{"Could not find codec parameters", errs.Invalid},
	{"does not contain any stream", errs.Invalid},
	{"matches no streams", errs.Invalid},
	{"partial file", errs.Invalid},
	{"File ended prematurely", errs.Invalid},
	{"End of file", errs.Invalid},
	{"EBML header parsing failed", errs.Invalid},
	{"Error while decoding stream", errs.Invalid},
	{"No such file or directory", errs.NotFound},
}

// classify finds the kind the messages speak of and the line that says so.
// Lines nobody knows leave it Internal.
func classify(lines []string) (errs.Kind, string) {
	for _, r := range rules {
		for _, l := range lines {
			if strings.Contains(l, r.text) {
				return r.kind, l
			}
		}
	}
	if len(lines) > 0 {
		return errs.Internal, lines[len(lines)-1]
	}
	return errs.Internal, ""
}

// silent are the failures after which ffmpeg 5.1 exits with 0 all the same:
// what was written is incomplete.
var silent = []string{
	"Error writing trailer", "Error closing file", "av_interleaved_write_frame()", "Failed to reconnect at",
	"partial file", "File ended prematurely", // mov, matroska: shorter than its own tables say
}

// silentFailure finds a failure in the messages of a run that exited with 0.
// Reading that ends early is reported as "<input>: <reason>".
func silentFailure(lines, inputs []string) bool {
	for _, l := range lines {
		for _, s := range silent {
			if strings.Contains(l, s) {
				return true
			}
		}
		for _, in := range inputs {
			if level, msg := split(l); level == "error" && strings.HasPrefix(msg, in+": ") {
				return true
			}
		}
	}
	return false
}

// message strips the contexts and the level that -loglevel level+… puts in
// front: "[mov @ 0x1] [error] moov atom not found".
func message(line string) string {
	_, msg := split(line)
	return msg
}

// split takes a line apart. The level is empty for lines of libraries that
// print by themselves.
func split(line string) (level, msg string) {
	for {
		inside, rest, ok := strings.Cut(line, "] ")
		switch {
		case !ok || !strings.HasPrefix(inside, "["):
			return "", line
		case slices.Contains(levels, inside[1:]):
			return inside[1:], rest
		case !strings.Contains(inside, " @ 0x"):
			return "", line
		}
		line = rest
	}
}

var levels = []string{"panic", "fatal", "error", "warning", "info", "verbose", "debug", "trace"}

// serious reports whether a line is of level error or worse. Libraries'
// lines count unless they call themselves less ("Svt[info]: …").
func serious(line string) bool {
	switch level, msg := split(line); level {
	case "panic", "fatal", "error":
		return true
	case "":
		return !strings.Contains(msg, "[info]") && !strings.Contains(msg, "[warn")
	}
	return false
}

// chatter reports whether a line is below a warning.
func chatter(line string) bool {
	level, msg := split(line)
	return level == "info" || level == "" && strings.Contains(msg, "[info]")
}
