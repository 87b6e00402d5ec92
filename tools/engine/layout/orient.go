package layout

// Orient is one of the eight ways to lay a stored picture down: mirror left and
// right first if Mirror, then turn clockwise by Quarter × 90 degrees.
type Orient struct {
	Mirror  bool
	Quarter int // 0–3
}

// exifOrients follows EXIF 2.32 §4.6.4 tag 0x0112.
var exifOrients = [9]Orient{
	{}, {}, {true, 0}, {false, 2}, {true, 2}, {true, 3}, {false, 1}, {true, 1}, {false, 3},
}

// Exif returns the orientation that displays a picture tagged n upright. What
// is not 1–8 means upright.
func Exif(n int) Orient {
	if n < 1 || n > 8 {
		return Orient{}
	}
	return exifOrients[n]
}

// Then returns o followed by a clockwise turn and then flips.
func (o Orient) Then(degrees int, flipH, flipV bool) Orient {
	o.Quarter = (o.Quarter + degrees/90) & 3
	if flipH {
		// A mirror after a turn is a mirror before the opposite turn.
		o.Mirror, o.Quarter = !o.Mirror, -o.Quarter&3
	}
	if flipV {
		o.Mirror, o.Quarter = !o.Mirror, (2-o.Quarter)&3
	}
	return o
}

// Identity reports whether nothing is to be done.
func (o Orient) Identity() bool { return o == Orient{} }

// Size returns the displayed size of a stored w × h picture, and the stored
// size of a displayed one.
func (o Orient) Size(w, h int) (int, int) {
	if o.Quarter&1 == 1 {
		return h, w
	}
	return w, h
}

// Stored maps a part r of a displayed picture to the stored picture of w × h.
func (o Orient) Stored(r Rect, w, h int) Rect {
	dw, dh := o.Size(w, h)
	for range (4 - o.Quarter) & 3 { // turn on, a quarter at a time, until the picture lies as stored
		r = Rect{X: dh - r.Y - r.H, Y: r.X, W: r.H, H: r.W}
		dw, dh = dh, dw
	}
	if o.Mirror {
		r.X = dw - r.X - r.W
	}
	return r
}
