package config

import (
	"fmt"
	"strings"
)

// modernize turns lines for older versions into present ones, and reports each. It drops what it
// cannot translate, so that nothing old keeps a server from starting except modes that pgherd does
// not have.
func modernize(lines []assignment, ps, notes *problems) []assignment {
	m := &modernizer{has: map[string]bool{}, given: map[key]bool{}, problems: ps, notes: notes}
	for _, a := range lines {
		base, _ := splitIndex(strings.ToLower(a.name))
		m.has[base] = true
	}
	for _, a := range lines {
		if _, _, old := findFormer(a.name, m.has); old {
			continue
		}
		if p, index, ok := resolve(a.name); ok {
			m.given[key{p, index}] = true
		}
	}
	for _, a := range lines {
		m.line(a)
	}
	m.mode()
	return m.list
}

type modernizer struct {
	has             map[string]bool // names as written, without their numbers
	given           map[key]bool    // today's names as written
	modes           formerMode
	list            []assignment
	problems, notes *problems
}

func (m *modernizer) line(a assignment) {
	f, now, ok := findFormer(a.name, m.has)
	switch {
	case !ok:
		m.list = append(m.list, a)
	case a.line == 0: // that line has an error already
		m.list = append(m.list, assignment{name: now})
	case f.now == clusteringMode:
		m.modes.add(a)
		if strings.EqualFold(a.name, "replication_mode") {
			m.list = append(m.list, a) // it is still a parameter, which does nothing
		}
	case now == "":
		m.note(a, "is a parameter of older versions: "+f.gone)
	case m.isGiven(now):
		m.note(a, "is the old name of "+now+", which is given too and takes precedence")
	default:
		m.rename(a, f, now)
	}
}

// rename gives the present name the old one's value.
func (m *modernizer) rename(a assignment, f *former, now string) {
	old := a
	a.name, a.old = now, old.name
	if f.value != nil {
		text, err := f.value(a.value)
		if err == errNoEffect {
			m.note(old, "is a parameter of older versions: "+f.gone)
			return
		}
		if err != nil {
			m.problems.add(a.file, a.line, old.name+": "+err.Error())
			a.line = 0
		}
		a.value = text
	}
	m.list = append(m.list, a)
	m.note(old, "is the old name of "+now+", which gets its value")
}

func (m *modernizer) isGiven(now string) bool {
	p, index, ok := resolve(now)
	return ok && m.given[key{p, index}]
}

func (m *modernizer) note(a assignment, text string) {
	m.notes.add(a.file, a.line, a.name+" "+text)
}

// mode sets backend_clustering_mode to the mode that former names ask for.
func (m *modernizer) mode() {
	if m.isGiven(clusteringMode) {
		m.noteModes("which is given too and takes precedence")
		return
	}
	a, err := m.modes.today()
	switch {
	case err != nil:
		m.problems.add(a.file, a.line, err.Error())
		m.list = append(m.list, assignment{name: clusteringMode}) // unusable
	case a.value == "":
		m.noteModes("which does not change by it")
	default:
		m.noteModes("which is " + a.value)
		m.list = append(m.list, a)
	}
}

func (m *modernizer) noteModes(what string) {
	for _, a := range m.modes.lines {
		m.note(a, "is an old name of "+clusteringMode+", "+what)
	}
}

// emptyHosts puts nodes that have a port and an empty host at the Unix socket in
// backend_socket_dir, where Pgpool-II looks for them.
func (s *settings) emptyHosts(lines []assignment, notes *problems) {
	folder := "/tmp"
	for _, a := range lines {
		if strings.EqualFold(a.name, "backend_socket_dir") && a.value != "" {
			folder = a.value
		}
	}
	host := byName["backend_hostname"]
	for _, index := range s.indexes(func(p *Param) bool { return p == host }) {
		k := key{host, index}
		if e := s.set[k]; e.value.text == "" && s.given("backend_port", index) {
			e.value.text = folder
			s.set[k] = e
			notes.add(e.file, e.line, fmt.Sprintf("backend_hostname%d is empty, which is the Unix socket in %s", index, excerpt(folder)))
		}
	}
}
