package source

import (
	"context"
	"errors"
	"io"
	"os"

	"github.com/mediafn/mediafn/core/errs"
	"github.com/mediafn/mediafn/core/fn"
	"github.com/mediafn/mediafn/core/media"
	"github.com/mediafn/mediafn/tools/engine"
	"github.com/mediafn/mediafn/tools/sniff"
)

// maxImage is the largest image that is read into memory because it is not a
// local file. It is the engine's own limit for any image.
const maxImage = 100 << 20

// OpenImage is in as an engine reads it: the local file where there is one,
// else its bytes. close must be called when the engine has answered.
func OpenImage(in *fn.Input) (image engine.Input, close func(), err error) {
	image = engine.Input{Format: in.Format, Size: in.Size}
	if in.Port == 0 && in.Location != "" {
		f, err := os.Open(in.Location)
		if err != nil {
			return image, nil, errs.As(errs.Internal, "open image", err)
		}
		image.File = f
		return image, func() { _ = f.Close() }, nil
	}
	if in.Size > maxImage {
		return image, nil, errs.New(errs.TooLarge, "open image", "image of %d bytes; the limit is %d", in.Size, maxImage)
	}
	if in.Data == nil {
		return image, nil, errs.New(errs.Internal, "open image", "the input has neither a file nor data")
	}
	image.Bytes = make([]byte, in.Size)
	if n, err := in.Data.ReadAt(image.Bytes, 0); int64(n) < in.Size || err != nil && !errors.Is(err, io.EOF) {
		return image, nil, errs.New(errs.KindOf(err), "open image", "read %d of %d bytes: %w", n, in.Size, err)
	}
	return image, func() {}, nil
}

// imageFacts asks an engine what the image says of itself.
func imageFacts(ctx context.Context, pool *engine.Pool, in *fn.Input) (*media.Info, error) {
	if pool == nil {
		return nil, errs.New(errs.Unsupported, "facts", "images need the engine, which is missing")
	}
	image, done, err := OpenImage(in)
	if err != nil {
		return nil, err
	}
	defer done()
	info, err := pool.Info(ctx, image)
	if err != nil {
		return nil, err
	}
	out := *info
	out.Size = in.Size
	if out.Mime == "" {
		if f, ok := sniff.FormatByName(out.Format); ok {
			out.Mime = f.Mime
		}
	}
	return &out, nil
}
