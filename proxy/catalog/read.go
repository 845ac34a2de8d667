package catalog

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// reading is a Snapshot that is being made.
type reading struct {
	snapshot    Snapshot
	verdicts    graph[Verdict]
	places      graph[place]
	definitions graph[definition]
	texts       []string        // nodes of functions with a text
	names       map[string]bool // of functions and of relations that use something
}

// Read makes a Snapshot of the rows that answer Question(previous), with "" for
// NULL. It is previous if the database has not changed.
func Read(previous *Snapshot, rows [][]string) (*Snapshot, error) {
	r := reading{verdicts: newGraph[Verdict](), places: newGraph[place](), definitions: newGraph[definition](), names: map[string]bool{}}
	s := &r.snapshot
	s.functions, s.relations, s.fields = map[string]Verdict{}, map[string]place{}, map[string]bool{}
	for _, row := range rows {
		if err := r.row(row); err != nil {
			return nil, err
		}
	}
	switch {
	case s.version == "":
		return nil, errors.New("read catalog: no version")
	case previous != nil && previous.version == s.version:
		return previous.withDefaults(s.defaults), nil
	case len(rows) > maxRows:
		return &Snapshot{version: s.version, defaults: s.defaults, unread: true}, nil
	}
	for _, row := range rows {
		if row[0] == "function" {
			r.function(key(plain(row[1])), row[2], row[3], plain(row[4]))
		}
	}
	r.take()
	return s, nil
}

// withDefaults is the same Snapshot for sessions that begin with other settings.
func (s *Snapshot) withDefaults(d defaults) *Snapshot {
	if s.defaults == d {
		return s
	}
	other := *s
	other.defaults = d
	return &other
}

func (r *reading) row(row []string) error {
	if len(row) != 5 {
		return fmt.Errorf("read catalog: a row of %d columns", len(row))
	}
	switch row[0] {
	case "version":
		if strings.Trim(row[1], "0123456789:-") != "" {
			return errors.New("read catalog: a version that is no number")
		}
		r.snapshot.version = row[1]
		r.snapshot.defaults = defaults{readCommitted: row[2] == "read committed", lasting: row[3] == "lasting"}
	case "function":
		name := key(plain(row[1]))
		r.snapshot.functions[name], r.names[name] = Harmless, true
		if strings.HasSuffix(row[3], "1") {
			r.snapshot.fields[name] = true
		}
	case "language": // it may be in any text
		r.snapshot.spoiling = true
	case "uses":
		if row[1] == "" || row[2] == "" {
			return errors.New("read catalog: a use of nothing")
		}
		r.uses(nodeOf(row[1]), nodeOf(row[2]))
	case "names":
		if len(row[1]) != 2 {
			return errors.New("read catalog: relations of no known kind")
		}
		r.relations(row[3], ofRelation(row[1][0], row[1][1]))
	default:
		return errors.New("read catalog: a row of no known kind")
	}
	return nil
}

// uses adds to both graphs what concerns each.
func (r *reading) uses(user, used string) {
	if user[0] == 'p' { // a write may go to a child table, and a read to what the table stores
		r.places.uses("s"+user[1:], "s"+used[1:])
		user, used = "w"+user[1:], "w"+used[1:]
	}
	r.names[user[1:]] = true
	immutable := user[0] == 'i' || used[0] == 'i'
	user, used = asFunction(user), asFunction(used)
	r.verdicts.uses(user, used)
	if used[0] == 'b' {
		r.snapshot.peeks = r.snapshot.peeks || ReadsDrawn(used[1:])
		r.verdicts.raise(used, builtins()[used[1:]])
	}
	switch {
	case immutable, user[0] == 'w' || user[0] == 'd':
		return // no read, or trusted
	case used[0] == 'b':
		r.places.raise(user, places()[used[1:]])
	case used[0] == 'w':
		r.places.uses(user, "r"+used[1:])
	default:
		r.places.uses(user, used)
	}
}

func asFunction(node string) string {
	if node[0] == 'i' {
		return "f" + node[1:]
	}
	return node
}

func (r *reading) relations(names string, p place) {
	for name := range strings.SplitSeq(names, "/") {
		name = key(plain(name))
		r.snapshot.relations[name] = anywhere
		r.places.raise("s"+name, p)
	}
}

func nodeOf(column string) string { return column[:1] + key(plain(column[1:])) }

// plain undoes PostgreSQL's escape format of bytea, in which bytes that are not ASCII (and the slashes of
// names) are \ooo and backslashes are doubled. To key all that is not ASCII is equal, so it need not be
// decoded.
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
			b = append(b, octal(escaped[i+1:min(i+4, len(escaped))]))
			i += 3
		}
	}
	return string(b)
}

// octal is the byte that three digits say, if it is ASCII.
func octal(digits string) byte {
	if n, err := strconv.ParseUint(digits, 8, 7); err == nil && len(digits) == 3 {
		return byte(n)
	}
	return 0x80
}

// take keeps of the graphs what will be asked for.
func (r *reading) take() {
	s := &r.snapshot
	r.verdicts.raise("x", Asks) // such settings are listed
	r.verdicts.settle()
	s.anything, s.ddl = s.told(r.verdicts.levels["a"]), s.told(r.verdicts.levels["d"])
	s.reads, s.writes = map[string]Verdict{}, map[string]Verdict{}
	for node, level := range r.verdicts.levels {
		verdict := s.told(level)
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
	r.takePlaces()
	r.takeDefinitions()
	r.takeReach()
}

func (r *reading) takePlaces() {
	s := &r.snapshot
	r.places.raise("y", system)
	r.places.raise("l", writes)
	r.places.settle()
	s.unnamed = r.places.levels["a"]
	s.calls = make(map[string]place, len(s.functions))
	for name := range s.functions {
		s.calls[name] = r.places.levels["f"+name]
	}
	for name := range s.relations {
		s.relations[name] = r.places.levels["r"+name]
	}
}
