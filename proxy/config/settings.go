package config

import (
	"cmp"
	"slices"
	"strconv"
)

// settings are the values given in files.
type settings struct {
	set map[key]entry
	bad map[*Param]bool // named in a line with an error: cross checks leave it alone
	cl  CommandLine
}

type key struct {
	param *Param
	index int
}

// entry is one value and where it came from.
type entry struct {
	value value
	file  string
	line  int
	old   string // what an older version has in place of the name
}

// get returns the value in effect: given for the index, given for all, or the default.
func (s *settings) get(p *Param, index int) entry {
	if e, ok := s.set[key{p, index}]; ok {
		return e
	}
	if e, ok := s.set[key{p, noIndex}]; ok {
		return e
	}
	return entry{value: defaults[p]}
}

// given reports whether a file sets the name.
func (s *settings) given(name string, index int) bool {
	_, ok := s.set[key{byName[name], index}]
	return ok
}

// assign takes one line's value.
func (s *settings) assign(a assignment, ps, notes *problems) {
	p, index, ok := resolve(a.name)
	if a.line == 0 { // the line's error is already reported
		s.bad[p] = ok
		return
	}
	if text := nameProblem(a.name, p, index, ok); text != "" {
		ps.add(a.file, a.line, text)
		return
	}
	label := cmp.Or(a.old, p.nameAt(index))
	v, err := p.parse(a.value)
	if err != nil {
		ps.add(a.file, a.line, label+": "+err.Error())
		s.bad[p] = true
		return
	}
	if old := p.formerWord(a.value); old != "" {
		notes.add(a.file, a.line, label+": "+old)
	}
	k := key{p, index}
	if p.Append {
		v.list = append(slices.Clone(s.set[k].value.list), v.list...)
	}
	s.set[k] = entry{v, a.file, a.line, a.old}
}

// nameProblem says what is wrong with a name, "" if nothing.
func nameProblem(name string, p *Param, index int, ok bool) string {
	switch {
	case !ok:
		return unknown(name)
	case index > MaxIndex:
		return name + ": number is above " + strconv.Itoa(MaxIndex)
	case p.Index == Numbered && index == noIndex:
		return name + " needs a number: " + p.nameAt(0)
	}
	return ""
}

// indexes lists the numbers that any of these parameters is given for, rising.
func (s *settings) indexes(match func(*Param) bool) []int {
	var list []int
	for k := range s.set {
		if k.index != noIndex && match(k.param) {
			list = append(list, k.index)
		}
	}
	slices.Sort(list)
	return slices.Compact(list)
}

// Setting is one parameter as SHOW prints it.
type Setting struct {
	Name   string // with its number, for a per-index one
	Value  string // in effect; Masked for a secret
	Source string // file:line, or "default"
	Param  *Param
	Index  int // -1 for a parameter without a number
}

// Settings lists every parameter in table order, per-index ones once for each index in use.
func (c *Config) Settings() []Setting {
	var list []Setting
	for _, p := range table {
		for _, index := range c.shownIndexes(p) {
			list = append(list, c.setting(p, index))
		}
	}
	return list
}

// Show returns one parameter by the name a file would use; false if there is none such.
func (c *Config) Show(name string) (Setting, bool) {
	p, index, ok := resolve(name)
	if nameProblem(name, p, index, ok) != "" {
		return Setting{}, false
	}
	return c.setting(p, index), true
}

// shownIndexes: nodes have an index for each of their parameters, others where one is given.
func (c *Config) shownIndexes(p *Param) []int {
	if !p.Indexed() {
		return []int{noIndex}
	}
	list := c.settings().indexes(func(q *Param) bool { return q == p })
	if p.Group == watchdogGroup || p.Group == lifecheckGroup {
		return list
	}
	for _, n := range c.Nodes {
		list = append(list, n.Index)
	}
	slices.Sort(list)
	return slices.Compact(list)
}

func (c *Config) setting(p *Param, index int) Setting {
	e := c.settings().get(p, index)
	s := Setting{Name: p.nameAt(index), Value: p.display(e.value), Source: "default", Param: p, Index: index}
	if e.line != 0 {
		s.Source = e.file + ":" + strconv.Itoa(e.line)
	}
	return s
}

// display is the value as text, without secrets.
func (p *Param) display(v value) string {
	if p.Secret && v.text != "" {
		return Masked
	}
	if p.Kind == List {
		return v.joined(p)
	}
	return v.text
}

// Changes are the names whose values differ between two configurations, sorted.
type Changes struct {
	Reload  []string // taken up by a reload
	Restart []string // taken up only by a start
}

// Diff tells what changed from old to c.
func (c *Config) Diff(old *Config) Changes {
	keys := make(map[key]bool, len(c.settings().set))
	for _, s := range []*settings{c.settings(), old.settings()} {
		for k := range s.set {
			keys[k] = true
		}
	}
	var ch Changes
	for k := range keys {
		if k.param.same(c.settings().get(k.param, k.index).value, old.settings().get(k.param, k.index).value) {
			continue
		}
		if k.param.Context == Startup {
			ch.Restart = append(ch.Restart, k.param.nameAt(k.index))
		} else {
			ch.Reload = append(ch.Reload, k.param.nameAt(k.index))
		}
	}
	slices.SortFunc(ch.Reload, cmp.Compare[string])
	slices.SortFunc(ch.Restart, cmp.Compare[string])
	return ch
}

func (p *Param) same(a, b value) bool {
	if p.Kind == List {
		return slices.Equal(a.list, b.list)
	}
	return a.text == b.text
}

// KeepStartup returns the configuration a running server has after a reload: c, but with the values
// that only a start changes, and the command line, as they were in old.
func (c *Config) KeepStartup(old *Config) *Config {
	merged := &settings{set: map[key]entry{}, cl: old.settings().cl}
	for k, e := range c.settings().set {
		if k.param.Context != Startup {
			merged.set[k] = e
		}
	}
	for k, e := range old.settings().set {
		if k.param.Context == Startup {
			merged.set[k] = e
		}
	}
	return build(old.File, merged)
}
