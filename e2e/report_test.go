package e2e_test

import (
	"encoding/json"
	"testing"

	"github.com/mediafn/mediafn/core/slice"
)

// report is what a sliceable function's callback says of slicing.
type report struct {
	Sliced      bool               `json:"sliced"`
	Code        string             `json:"slice_code"`
	Reason      string             `json:"slice_reason"`
	Certificate *slice.Certificate `json:"certificate"`
}

func reportOf(t *testing.T, raw json.RawMessage) (r report) {
	t.Helper()
	if err := json.Unmarshal(raw, &r); err != nil {
		t.Fatalf("report %s: %v", raw, err)
	}
	return r
}
