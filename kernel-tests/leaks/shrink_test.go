package leaks_test

import "slices"

// mostTries limits a shrink. Each try is a run, which takes well below a second.
const mostTries = 400

// shrink removes clients and steps as long as fails still finds a difference, and returns the smallest script that it has
// found, with its difference. The first script must fail.
func shrink(first script, d *difference, fails func(script) *difference) (script, *difference) {
	s := shrinking{script: first, difference: d, fails: fails, tries: mostTries}
	s.cut(d.at+1, len(first.steps))
	for n := range first.clients {
		s.without(func(st step) bool { return st.client == n+1 })
	}
	for size := len(s.script.steps) / 2; size > 0; size /= 2 {
		s.pass(size)
	}
	for s.pass(1) { // without one step another one may no longer be needed
	}
	return s.script, s.difference
}

// shrinking is a script that fails and becomes shorter.
type shrinking struct {
	script     script
	difference *difference
	fails      func(script) *difference
	tries      int
}

// pass tries to remove each run of size steps, beginning at the end.
func (s *shrinking) pass(size int) (shorter bool) {
	for end := len(s.script.steps); end > 0; end -= size {
		end = min(end, len(s.script.steps))
		shorter = s.cut(max(0, end-size), end) || shorter
	}
	return shorter
}

func (s *shrinking) cut(from, to int) bool {
	return s.try(slices.Delete(slices.Clone(s.script.steps), from, to))
}

func (s *shrinking) without(which func(step) bool) bool {
	return s.try(slices.DeleteFunc(slices.Clone(s.script.steps), which))
}

// try keeps the steps if they are fewer and still fail. Steps after the failure are removed, too.
func (s *shrinking) try(steps []step) bool {
	if len(steps) >= len(s.script.steps) || len(steps) == 0 || s.tries == 0 {
		return false
	}
	s.tries--
	shorter := s.script
	shorter.steps = steps
	d := s.fails(shorter)
	if d == nil {
		return false
	}
	shorter.steps = steps[:d.at+1]
	s.script, s.difference = shorter, d
	return true
}
