package auth

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Ident is a file of user name maps, like PostgreSQL's pg_ident.conf; it is an
// immutable snapshot.
type Ident struct{ lines []identLine }

// identLine allows the system user to be the database's user.
type identLine struct {
	place
	name   string
	system token
	user   token
}

// LoadIdent reads a file of user name maps; names in it are relative to its folder. It
// reports every line that is wrong.
func LoadIdent(path string) (*Ident, error) { return readIdent(path, disk) }

func readIdent(path string, from source) (*Ident, error) {
	m := &Ident{}
	r := &reader{source: from}
	err := r.eachLine(path, func(l *line) error {
		parsed, err := parseIdentLine(l)
		m.lines = append(m.lines, parsed)
		return err
	})
	if err != nil {
		return nil, err
	}
	return m, nil
}

// parseIdentLine reads the first three fields; like PostgreSQL, it ignores the rest.
func parseIdentLine(l *line) (parsed identLine, err error) {
	var words [3]token
	for i := range words {
		switch {
		case i == len(l.fields):
			return parsed, errors.New("missing entry at end of line: want map, system user, database user")
		case len(l.fields[i]) > 1:
			return parsed, errors.New("multiple values in ident field: write one per line")
		}
		words[i] = l.fields[i][0]
	}
	parsed = identLine{place: l.place, name: words[0].text}
	if parsed.system, err = words[1].compiled(); err != nil {
		return parsed, err
	}
	if parsed.user, err = words[2].compiled(); err != nil {
		return parsed, err
	}
	if parsed.borrows() && parsed.system.match.NumSubexp() == 0 {
		return parsed, fmt.Errorf("regular expression %q has no subexpressions as requested by backreference in \"%s\"", parsed.system.text[1:], parsed.user.text)
	}
	return parsed, nil
}

// borrows says that \1 stands for a part of the system user's name. It does not where
// the name stands for several users.
func (l *identLine) borrows() bool {
	_, members := l.user.members()
	return l.system.match != nil && l.user.match == nil && !members && strings.Contains(l.user.text, `\1`)
}

// has says that the map exists.
func (m *Ident) has(name string) bool {
	if m == nil {
		return false
	}
	for i := range m.lines {
		if m.lines[i].name == name {
			return true
		}
	}
	return false
}

// allows says that the map allows the system user to be the user. Without a map the two
// must be equal. roles are those of the user; if they cannot be asked for, a line that
// needs them allows nobody.
func (m *Ident) allows(name, system, user string, roles func() ([]string, error)) (bool, error) {
	if name == "" {
		return equal([]byte(system), []byte(user)), nil
	}
	if m == nil {
		return false, nil
	}
	for i := range m.lines {
		if m.lines[i].name != name {
			continue
		}
		allowed, err := m.lines[i].allows(system, user, roles)
		if allowed || err != nil && !errors.Is(err, errNobody) {
			return allowed, err
		}
	}
	return false, nil
}

func (l *identLine) allows(system, user string, roles func() ([]string, error)) (bool, error) {
	if !l.system.names(system) {
		return false, nil
	}
	if l.borrows() {
		part := l.system.match.FindStringSubmatch(system)[1]
		return strings.Replace(l.user.text, `\1`, part, 1) == user, nil
	}
	role, members := l.user.members()
	if !members {
		return l.user.is("all") || l.user.names(user), nil
	}
	list, err := roles()
	return slices.Contains(list, role), err
}
