package matroska

import (
	"github.com/mediafn/mediafn/core/errs"
	"github.com/mediafn/mediafn/core/media"
)

// attachment is a file carried along; its data is not read.
type attachment struct {
	name, mime string
	at, size   int64
}

// parseTags sorts tags by what they speak of: one track, or the whole file.
func (s *segment) parseTags(b []byte) error {
	total := 0
	return each(b, func(id uint32, b []byte) error {
		if id != 0x7373 {
			return nil
		}
		target, other := uint64(0), false
		found := map[string]string{}
		err := each(b, func(id uint32, b []byte) error {
			switch id {
			case 0x63c0:
				return each(b, func(id uint32, b []byte) error {
					switch id {
					case 0x63c5:
						target = uinteger(b)
					case 0x63c4, 0x63c6, 0x63c9: // chapters, attachments, editions
						other = other || uinteger(b) != 0
					}
					return nil
				})
			case 0x67c8:
				name, value := "", ""
				if err := each(b, func(id uint32, b []byte) error {
					switch id {
					case 0x45a3:
						name = text(b)
					case 0x4487:
						value = text(b)
					}
					return nil
				}); err != nil {
					return err
				}
				if total++; name != "" && total <= 1024 {
					found[name] = value
				}
			}
			return nil
		})
		if other {
			return err
		}
		into := s.tags
		if target != 0 {
			if s.byTrack[target] == nil {
				s.byTrack[target] = map[string]string{}
			}
			into = s.byTrack[target]
		}
		for k, v := range found {
			into[k] = v
		}
		return err
	})
}

const maxChapters = 4096

func (s *segment) parseChapters(b []byte) error {
	first := true
	return each(b, func(id uint32, b []byte) error {
		if id != 0x45b9 || !first { // further editions tell the same film another way
			return nil
		}
		first = false
		return each(b, func(id uint32, b []byte) error {
			if id != 0xb6 {
				return nil
			}
			if len(s.chapters) >= maxChapters {
				return errs.New(errs.TooLarge, op, "more than %d chapters", maxChapters)
			}
			var c media.Chapter
			err := each(b, func(id uint32, b []byte) error {
				switch id {
				case 0x91:
					c.Start = float64(uinteger(b)) / 1e9
				case 0x92:
					c.End = float64(uinteger(b)) / 1e9
				case 0x80:
					return each(b, func(id uint32, b []byte) error {
						if id == 0x85 && c.Title == "" {
							c.Title = text(b)
						}
						return nil
					})
				}
				return nil
			})
			s.chapters = append(s.chapters, c)
			return err
		})
	})
}

// attachments walks the list in the file, past the data.
func (s *segment) attachments(pos, n int64) error {
	for end := min(pos+n, s.end); pos < end; {
		id, size, body, err := s.element(pos)
		if err != nil {
			return err
		}
		if size > end-body {
			return corrupt("element %#x at %d leaves the attachments", id, pos)
		}
		if id == 0x61a7 && len(s.attached) < 256 {
			var a attachment
			for at := body; at < body+size; {
				id, n, b, err := s.element(at)
				if err != nil {
					return err
				}
				if n > body+size-b {
					return corrupt("element %#x at %d leaves its attachment", id, at)
				}
				switch id {
				case 0x466e, 0x4660:
					v, err := s.r.At(b, int(min(n, 4096)))
					if err != nil {
						return err
					}
					if id == 0x466e {
						a.name = text(v)
					} else {
						a.mime = text(v)
					}
				case 0x465c:
					a.at, a.size = b, n
				}
				at = b + n
			}
			s.attached = append(s.attached, a)
		}
		pos = body + size
	}
	return nil
}
