package session

import (
	"strconv"
	"strings"

	"pgherd/proxy/catalog"
)

// residueQuestion takes back and asks for what DISCARD ALL leaves and the server can
// tell; docs/manual/pooling.md has the whole list. random() gets another seed. One row:
// whether a temporary replication slot or a replication origin is left, and whether the
// database holds code that may leave what nobody can ask for. Few users may ask for
// the origin, so the text of that question is run where they may.
const residueQuestion = `SELECT pg_catalog.setseed({{seed}}) IS NULL,
 EXISTS (SELECT FROM pg_catalog.pg_get_replication_slots() s
  WHERE s.temporary AND s.active_pid OPERATOR(pg_catalog.=) pg_catalog.pg_backend_pid())
 OR CASE WHEN NOT pg_catalog.pg_is_in_recovery()
   AND pg_catalog.has_function_privilege('pg_catalog.pg_replication_origin_session_is_setup()', 'execute')
  THEN pg_catalog.query_to_xml('SELECT pg_catalog.pg_replication_origin_session_is_setup() AS x', false, false, '')::pg_catalog.text
   OPERATOR(pg_catalog.~~) '%<x>true</x>%' ELSE false END,
 EXISTS (SELECT FROM pg_catalog.pg_language l WHERE l.lanname OPERATOR(pg_catalog.<>) ALL ('{internal,c,sql,plpgsql}'::pg_catalog.name[]))
 OR EXISTS (SELECT FROM pg_catalog.pg_proc p JOIN pg_catalog.pg_language l ON l.oid OPERATOR(pg_catalog.=) p.prolang
  WHERE p.oid OPERATOR(pg_catalog.>=) 16384::pg_catalog.oid AND p.provolatile OPERATOR(pg_catalog.=) 'v'
  AND l.lanname OPERATOR(pg_catalog.=) ANY ('{internal,c}'::pg_catalog.name[])
  AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend d JOIN pg_catalog.pg_extension e ON e.oid OPERATOR(pg_catalog.=) d.refobjid
   WHERE d.classid OPERATOR(pg_catalog.=) 1255::pg_catalog.oid AND d.objid OPERATOR(pg_catalog.=) p.oid
   AND d.refclassid OPERATOR(pg_catalog.=) 3079::pg_catalog.oid AND d.deptype OPERATOR(pg_catalog.=) 'e'
   AND e.extname OPERATOR(pg_catalog.=) ANY ('{{forgetful}}'::pg_catalog.name[])))`

var residueText = strings.Replace(residueQuestion, "{{forgetful}}", catalog.Forgetful(), 1)

// residueSQL is the question, with a seed below 1.
func residueSQL(seed float64) string {
	return strings.Replace(residueText, "{{seed}}", strconv.FormatFloat(seed, 'f', -1, 64), 1)
}

// spoilt reads the answer: the server must not go to another client. In session mode,
// where statements are not looked at for nothing, they are from now on in a database
// that holds what may be left; in what this session may have done nobody has looked.
func (s *relaying) spoilt(q *question) bool {
	if q.failed || len(q.rows) != 1 || len(q.rows[0]) != 3 {
		return true
	}
	if holds := q.rows[0][2] == "t"; holds && !s.follows && s.entry == nil {
		if s.set.Catalogs != nil {
			s.set.Catalogs.Entry(s.who.Target.Database).Hold()
		}
		return true
	}
	return q.rows[0][1] == "t"
}

// discarded: the client's DISCARD ALL was done. What the server is to be asked for it
// is asked once the server is free. Where names pass as they are nobody has looked
// at what was sent behind it.
func (s *relaying) discarded() {
	more := s.plain && s.expect.Len() > 2 // the end of its Execute, and of the Sync
	s.unasked = s.unasked || s.tracker.Kept() != ""
	s.tracker.Discarded()
	s.drawn, s.waits = false, false
	if more {
		s.tracker.Keep("what was sent behind DISCARD ALL")
	}
	s.plain = false
	s.server.Settings, s.server.Used = nil, s.keeps()
}
