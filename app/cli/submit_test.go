package cli

import (
	"strings"
	"testing"
)

func FuzzObjectRef(f *testing.F) {
	f.Add("bucket/key")
	f.Add("s3:bucket/a/b.mp4")
	f.Fuzz(func(t *testing.T, text string) {
		ref, err := objectRef("output_files.0", text)
		if err != nil {
			return
		}
		back := ref.Bucket + "/" + ref.Key
		if ref.Cloud != "" || strings.HasPrefix(text, ":") {
			back = ref.Cloud + ":" + back
		}
		if back != text || ref.Bucket == "" || ref.Key == "" {
			t.Errorf("%q became %+v", text, ref)
		}
	})
}
