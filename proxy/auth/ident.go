package auth

import (
	"errors"
	"fmt"
	"path/filepath"
	"regexp"
	"strings"
)

// Ident is a file of user name maps, as PostgreSQL's pg_ident.conf: an
// immutable snapshot.
type Ident struct{ lines []identLine }

// identLine lets who is called system be the database's user.
type identLine struct {
	name   string
	system string         // to compare with
	match  *regexp.Regexp // instead of system
	user   string
}

// LoadIdent reads a file of user name maps; @file is relative to its folder.
func LoadIdent(path string) (*Ident, error) {
	text, err := readLimited(path, maxHBAFile)
	if err != nil {
		return nil, fmt.Errorf("read ident_file: %w", err)
	}
	return ParseIdent(text, includeBeside(path))
}

// includeBeside reads files that a file names with @.
func includeBeside(path string) func(name string) (string, error) {
	return func(name string) (string, error) {
		if !filepath.IsAbs(name) {
			name = filepath.Join(filepath.Dir(path), name)
		}
		return readLimited(name, maxHBAFile)
	}
}

// ParseIdent parses the text of a file of user name maps. Every line that is
// wrong is reported.
func ParseIdent(text string, include func(name string) (string, error)) (*Ident, error) {
	m := &Ident{}
	err := eachLine(text, "ident_file", func(_ int, line string) error {
		list, err := fields(line)
		if err != nil || len(list) == 0 {
			return err
		}
		parsed, err := parseIdentLine(list, include)
		m.lines = append(m.lines, parsed)
		return err
	})
	if err != nil {
		return nil, err
	}
	return m, nil
}

func parseIdentLine(list [][]token, include func(string) (string, error)) (l identLine, err error) {
	if len(list) != 3 {
		return l, errors.New("want three fields: map, system user, database user")
	}
	var words [3]string
	for i, field := range list {
		if field, err = expand(field, include, 0); err != nil {
			return l, err
		}
		if len(field) != 1 {
			return l, fmt.Errorf("field %d must be one word", i+1)
		}
		words[i] = field[0].text
	}
	l = identLine{name: words[0], system: words[1], user: words[2]}
	expression, is := strings.CutPrefix(l.system, "/")
	if !is {
		return l, nil
	}
	if l.match, err = regexp.Compile(expression); err != nil {
		return l, err
	}
	if strings.Contains(l.user, `\1`) && l.match.NumSubexp() == 0 {
		return l, fmt.Errorf(`regular expression %q has no group for \1`, expression)
	}
	return l, nil
}

// has says whether the map is there at all.
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

// allows says whether the map lets who is called system be the user. Without
// a map the two must be equal.
func (m *Ident) allows(name, system, user string) bool {
	if name == "" {
		return equal([]byte(system), []byte(user))
	}
	if m == nil {
		return false
	}
	for i := range m.lines {
		if m.lines[i].name == name && m.lines[i].allows(system, user) {
			return true
		}
	}
	return false
}

func (l *identLine) allows(system, user string) bool {
	if l.match == nil {
		return l.system == system && l.user == user
	}
	found := l.match.FindStringSubmatch(system)
	if found == nil {
		return false
	}
	as := l.user
	if len(found) > 1 {
		as = strings.Replace(as, `\1`, found[1], 1)
	}
	return as == user
}
