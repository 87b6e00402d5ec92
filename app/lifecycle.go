package app

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/mediafn/mediafn/core/errs"
	"github.com/mediafn/mediafn/roles/controller/sweep"
)

// Lifecycle says how long objects stay where.
type Lifecycle struct {
	Originals     []string `name:"originals" sep:"," default:"inputs" help:"Buckets of the default store that originals are uploaded to."`
	OriginalsCold Age      `name:"originals-cold" default:"3d" help:"Age at which originals move to the store's colder class, as 3d or 36h, or ever: they stay."`
	OriginalsKeep Age      `name:"originals-keep" default:"ever" help:"Age at which originals are deleted, or ever: they are kept."`
	ResultsKeep   Age      `name:"results-keep" default:"21d" help:"Age at which results are deleted, or ever: they are kept. What was put at a place of the caller is never touched."`
	SegmentsKeep  Age      `name:"segments-keep" default:"1d" help:"Age at which what tasks have left in the bucket of segments is deleted, or ever: it is kept."`
	SliceCache    Age      `name:"slice-cache" default:"1d" help:"Age at which slices kept for later tasks are deleted; they are used for half of it. off: none are kept."`
}

// Age is a length of time in days, as 3d, or as Go writes them; zero is none:
// "ever" or "off".
type Age time.Duration

// UnmarshalText reads an age.
func (a *Age) UnmarshalText(text []byte) error {
	s := string(text)
	if s == "ever" || s == "off" {
		*a = 0
		return nil
	}
	if days, ok := strings.CutSuffix(s, "d"); ok {
		if n, err := strconv.Atoi(days); err == nil && n > 0 && n <= 36500 {
			*a = Age(time.Duration(n) * day)
			return nil
		}
	} else if d, err := time.ParseDuration(s); err == nil && d > 0 {
		*a = Age(d)
		return nil
	}
	return errs.New(errs.Invalid, "age", "%q is no age as 3d or 36h, nor ever, nor off", s)
}

// MarshalText writes an age as UnmarshalText reads it.
func (a Age) MarshalText() ([]byte, error) { return []byte(a.String()), nil }

func (a Age) String() string {
	switch d := time.Duration(a); {
	case d == 0:
		return "ever"
	case d%day == 0:
		return fmt.Sprintf("%dd", d/day)
	default:
		return d.String()
	}
}

const day = 24 * time.Hour

func (l *Lifecycle) ages() sweep.Ages {
	return sweep.Ages{
		Originals: l.Originals, OriginalsCold: time.Duration(l.OriginalsCold), OriginalsKeep: time.Duration(l.OriginalsKeep),
		Results: time.Duration(l.ResultsKeep), Segments: time.Duration(l.SegmentsKeep), Cache: time.Duration(l.SliceCache),
	}
}

func (l *Lifecycle) validate(fault func(field, format string, args ...any)) {
	for _, bucket := range l.Originals {
		if slices.Contains([]string{bucketResults, bucketSegments, bucketArriving}, bucket) {
			fault("originals", "%q is a bucket of the platform's own", bucket)
		}
	}
	if l.OriginalsCold > 0 && l.OriginalsKeep > 0 && l.OriginalsCold >= l.OriginalsKeep {
		fault("originals-cold", "%s is not before they are deleted at %s", l.OriginalsCold, l.OriginalsKeep)
	}
	if l.SliceCache > 0 && l.SegmentsKeep > 0 && l.SliceCache > l.SegmentsKeep {
		fault("slice-cache", "%s is longer than segments-keep, %s: they lie in the same bucket", l.SliceCache, l.SegmentsKeep)
	}
	for _, x := range []struct {
		name string
		age  Age
	}{{"originals-cold", l.OriginalsCold}, {"originals-keep", l.OriginalsKeep}, {"results-keep", l.ResultsKeep}, {"segments-keep", l.SegmentsKeep}, {"slice-cache", l.SliceCache}} {
		if x.age < 0 || x.age > 0 && x.age < Age(time.Minute) {
			fault(x.name, "%s is shorter than a minute", x.age)
		}
	}
}
