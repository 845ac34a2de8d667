package catalog

import (
	"errors"
	"fmt"
	"strings"
)

// Read makes a Snapshot of the rows that answer Question(previous), with "" for
// NULL. It is previous if the database has not changed.
func Read(previous *Snapshot, rows [][]string) (*Snapshot, error) {
	g := graph{verdicts: map[string]Verdict{}, users: map[string][]string{}, names: map[string]bool{}}
	s := &Snapshot{functions: map[string]Verdict{}}
	for _, row := range rows {
		if err := s.readRow(&g, row); err != nil {
			return nil, err
		}
	}
	switch {
	case s.version == "":
		return nil, errors.New("read catalog: no version")
	case previous != nil && previous.version == s.version:
		return previous, nil
	case len(rows) > maxRows:
		return &Snapshot{version: s.version, unread: true}, nil
	}
	for _, row := range rows {
		if row[0] == "function" {
			g.function(key(plain(row[1])), row[2], row[3], plain(row[4]))
		}
	}
	g.settle()
	s.take(&g)
	return s, nil
}

func (s *Snapshot) readRow(g *graph, row []string) error {
	if len(row) != 5 {
		return fmt.Errorf("read catalog: a row of %d columns", len(row))
	}
	switch row[0] {
	case "version":
		if strings.Trim(row[1], "0123456789:-") != "" {
			return errors.New("read catalog: a version that is no number")
		}
		s.version = row[1]
	case "function":
		name := key(plain(row[1]))
		s.functions[name], g.names[name] = Harmless, true
	case "uses":
		if row[1] == "" || row[2] == "" {
			return errors.New("read catalog: a use of nothing")
		}
		user := nodeOf(row[1])
		g.names[user[1:]] = true
		g.uses(user, nodeOf(row[2]))
	default:
		return errors.New("read catalog: a row of no known kind")
	}
	return nil
}

func nodeOf(column string) string { return column[:1] + key(plain(column[1:])) }

// plain undoes PostgreSQL's escape format of bytea, where bytes that are not ASCII
// are \ooo and backslashes double. All that is not ASCII is the same to key, so
// that it need not be decoded.
func plain(escaped string) string {
	if strings.IndexByte(escaped, '\\') < 0 {
		return escaped
	}
	b := make([]byte, 0, len(escaped))
	for i := 0; i < len(escaped); i++ {
		switch {
		case escaped[i] != '\\':
			b = append(b, escaped[i])
		case i+1 < len(escaped) && escaped[i+1] == '\\':
			b = append(b, '\\')
			i++
		default:
			b = append(b, 0x80)
			i += 3
		}
	}
	return string(b)
}

// take keeps of the graph what is asked for.
func (s *Snapshot) take(g *graph) {
	s.anything, s.ddl = g.verdicts["a"], g.verdicts["d"]
	s.reads, s.writes = map[string]Verdict{}, map[string]Verdict{}
	for node, verdict := range g.verdicts {
		switch name := node[1:]; node[0] {
		case 'f':
			if _, listed := s.functions[name]; listed {
				s.functions[name] = verdict
			}
		case 'r':
			s.reads[name] = verdict
		case 'w':
			s.writes[name] = verdict
		}
	}
}
