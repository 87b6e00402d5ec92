package ffmpeg

import (
	"context"
	"path/filepath"
	"slices"
	"strings"

	"go.opentelemetry.io/otel/attribute"

	"github.com/mediafn/mediafn/internal/span"
)

// telling are the options worth a look in a trace. Names of files, URLs, texts
// and filter graphs are a caller's and stay out of it.
var telling = []string{
	"-c:v", "-c:a", "-c", "-crf", "-b:v", "-b:a", "-preset", "-threads", "-r", "-ss", "-t", "-f", "-frames:v",
}

// began begins the span of one process.
func began(ctx context.Context, path string, args []string) (context.Context, *span.Span) {
	ctx, s := span.Step(ctx, filepath.Base(path))
	if s == nil {
		return ctx, nil
	}
	s.Set(attribute.Int("inputs", len(inputsOf(args))))
	for name, value := range tellingOf(args) {
		s.Set(attribute.String("option."+strings.TrimPrefix(name, "-"), value))
	}
	return ctx, s
}

// tellingOf picks the telling options of a command line; of an option that
// stands there more than once, the last.
func tellingOf(args []string) map[string]string {
	found := map[string]string{}
	for i := 0; i+1 < len(args); i++ {
		if args[i] == "-i" {
			i++ // a name is no option, whatever it looks like
			continue
		}
		if slices.Contains(telling, args[i]) {
			found[args[i]] = args[i+1]
			i++
		}
	}
	return found
}

// spent adds what a run cost to its span.
func (s Stats) spent(to *span.Span) {
	if to != nil {
		to.Set(attribute.Float64("cpu_seconds", (s.User+s.System).Seconds()), attribute.Int64("frames", s.Frames),
			attribute.Int64("max_rss_bytes", s.MaxRSS), attribute.Int64("output_bytes", s.Size))
	}
}
