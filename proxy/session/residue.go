package session

import (
	"strconv"
	"strings"

	"pgherd/proxy/catalog"
)

// residueQuestion asks for what DISCARD ALL leaves, as far as the server can tell, and gives
// random() another seed; docs/manual/pooling.md has the whole list. Its one row says whether a
// temporary replication slot or a replication origin is left, and whether the database holds
// code that may leave what the server cannot be asked for. Few users may ask for the origin, so
// that part is a text of SQL, which runs only for a user who may.
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

// residueSQL is residueQuestion with a seed below 1.
func residueSQL(seed float64) string {
	return strings.Replace(residueText, "{{seed}}", strconv.FormatFloat(seed, 'f', -1, 64), 1)
}

// spoilt reads the answer, and is true if the server must not go to another client. In session
// mode statements are watched only in a database with code that may leave what outlasts DISCARD
// ALL. If the database turns out to have such code, its sessions are watched from now on; the
// server of this one is closed, because its statements were not watched.
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

// discarded notes that the client's DISCARD ALL was done. What it leaves is asked for once the
// server is free. On an exposed server the requests that were sent behind it used the client's
// own names, so if there were any the server stays with the session.
func (s *relaying) discarded() {
	more := s.exposed && s.expect.Len() > 2 // more than the replies to its Execute and to the Sync
	s.unasked = s.unasked || s.tracker.Kept() != ""
	s.tracker.Discarded()
	s.drawn, s.waits = false, false
	if more {
		s.tracker.Keep("what was sent behind DISCARD ALL")
	}
	s.exposed = false
	s.server.Settings, s.server.Used = nil, s.keeps()
}
