package arrival

import "cmp"

// Told says in a result how the arrival of its primary input went.
type Told struct {
	Upload string `json:"upload"`
	Early  bool   `json:"early"`             // something of it was done before its last byte came
	Slices int    `json:"slices_before_end"` // so many slices had begun by then
	Reason string `json:"reason"`
}

// Seen is what a task shows of it. The documents of slice.plan say what bears a name.
type Seen struct {
	Early    bool   `json:"-"`         // something began before the last byte came
	Slices   int    `json:"-"`         // slices that did
	Copied   bool   `json:"-"`         // the caller has the file copied first
	Whole    bool   `json:"-"`         // the caller wants no slices
	Together bool   `json:"-"`         // the function's slices do not stand by themselves
	NotEarly string `json:"not_early"` // why none could begin early
	NotAhead string `json:"not_ahead"` // why those that did are not used
}

// Tell says how it went, and why.
func (u *Upload) Tell(s Seen) Told {
	t := Told{Upload: u.ID, Early: s.Early, Slices: s.Slices, Reason: u.Why}
	switch {
	case s.Copied:
		t.Reason = "extra.pre_download has the whole file copied before work begins"
	case s.Slices > 0 && s.NotAhead != "":
		t.Reason += "; slices began as their bytes arrived, and are not used: " + s.NotAhead
	case s.Slices > 0:
		t.Reason += "; slices began as their bytes arrived"
	case u.Index == Splits && s.Together:
		t.Reason += "; slices of this function are planned when all frames are known"
	case u.Index == Splits && s.Whole:
		t.Reason += "; the caller switched slicing off"
	case u.Index == Splits && u.Size < 2*Front:
		t.Reason += "; it is too small to begin before its end"
	case u.Index == Splits:
		t.Reason += "; " + cmp.Or(s.NotEarly, "it was whole before a slice could begin")
	case u.Index > 0 && s.Early:
		t.Reason += "; there were no slices that could have begun before the end"
	case u.Index > 0:
		t.Reason += "; it was whole before anything could begin"
	}
	return t
}
