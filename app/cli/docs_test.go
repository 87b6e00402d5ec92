package cli

import (
	"bytes"
	"os"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/mediafn/mediafn/app"
)

// TestReference compares docs/functions.md with what the declarations say.
func TestReference(t *testing.T) {
	const path = "../../docs/functions.md"
	functions, _, err := app.Offer()
	if err != nil {
		t.Fatal(err)
	}
	var want bytes.Buffer
	if err := markdown(&want, functions); err != nil {
		t.Fatal(err)
	}
	if *update {
		if err := os.WriteFile(path, want.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want.String(), string(got)); diff != "" {
		t.Errorf("docs/functions.md is out of date; go test ./app/cli -run Reference -update rewrites it:\n%s", diff)
	}
}
