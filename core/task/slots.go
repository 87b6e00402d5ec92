package task

import (
	"fmt"
	"strconv"
	"strings"
)

// Slots holds two bits per component, in as many 64-bit words as it takes:
// component i has bits 2i (succeeded) and 2i+1 (failed). Both clear means
// untouched; setting one clears the other. A task has two: call slots (was the
// component called) and return slots (did it come back).
type Slots []uint64

// Slot is the value of one pair of bits.
type Slot uint8

const (
	Untouched Slot = 0
	Success   Slot = 1
	Failure   Slot = 2
)

const perWord = 32

// Get returns component i's slot. Words that are not there are untouched.
func (s Slots) Get(i int) Slot {
	if i/perWord >= len(s) {
		return Untouched
	}
	return Slot(s[i/perWord] >> (2 * (i % perWord)) & 3)
}

// Set returns the slots with component i's pair set to v. The receiver is
// not changed.
func (s Slots) Set(i int, v Slot) Slots {
	out := make(Slots, max(len(s), i/perWord+1))
	copy(out, s)
	shift := 2 * (i % perWord)
	out[i/perWord] = out[i/perWord]&^(3<<shift) | uint64(v)<<shift
	return out
}

// Covers reports whether every bit of mask is set in s: one comparison a word
// tells that a set of components succeeded.
func (s Slots) Covers(mask Slots) bool {
	for w, m := range mask {
		have := uint64(0)
		if w < len(s) {
			have = s[w]
		}
		if have&m != m {
			return false
		}
	}
	return true
}

// String renders the words in hexadecimal, lowest first, separated by dots.
func (s Slots) String() string {
	words := make([]string, len(s))
	for i, w := range s {
		words[i] = strconv.FormatUint(w, 16)
	}
	return strings.Join(words, ".")
}

// ParseSlots is the inverse of String.
func ParseSlots(text string) (Slots, error) {
	if text == "" {
		return nil, nil
	}
	var s Slots
	for _, part := range strings.Split(text, ".") {
		w, err := strconv.ParseUint(part, 16, 64)
		if err != nil {
			return nil, fmt.Errorf("slots %q: %w", text, err)
		}
		s = append(s, w)
	}
	return s, nil
}
