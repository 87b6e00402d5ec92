package controller

import (
	"testing"

	"github.com/mediafn/mediafn/core/job"
)

func TestCores(t *testing.T) {
	c := NewCores(0)
	if c.Now() != 1 {
		t.Errorf("%d cores; slices are planned for one at least", c.Now())
	}
	for _, told := range []map[string]string{{job.CoresSetting: "48"}, {}, {job.CoresSetting: "many"}} {
		c.hear(told)
		if c.Now() != 48 {
			t.Errorf("%v: %d", told, c.Now())
		}
	}
	var none *Cores
	none.hear(map[string]string{job.CoresSetting: "2"}) // a controller that plans nothing
}
