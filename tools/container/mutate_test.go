package container

import (
	"bytes"
	"context"
	"math/rand/v2"
	"testing"

	"github.com/mediafn/mediafn/core/errs"
)

// TestDamaged reads thousands of damaged files: the answer is facts or an
// error of the right kind.
func TestDamaged(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for _, name := range []string{"a.mp4", "f.mp4", "a.mkv"} {
		args := tiny
		if name == "f.mp4" {
			args = append(append([]string{}, tiny...), "-movflags", "frag_keyframe+empty_moov")
		}
		seed, kind := load(t, generate(t, name, args...))
		for n := range 2000 {
			b := bytes.Clone(seed)
			for range 1 + r.IntN(4) {
				b[r.IntN(len(b))] = []byte{0, 1, 0x7f, 0x80, 0xff, byte(r.Uint32())}[r.IntN(6)]
			}
			_, err := Read(context.Background(), bytes.NewReader(b), int64(len(b)), kind, Options{Frames: true, Keys: true})
			if k := errs.KindOf(err); err != nil && k != errs.Invalid && k != errs.TooLarge && k != errs.Unsupported {
				t.Fatalf("%s %d: kind %s: %v", name, n, k, err)
			}
		}
	}
}
