package pool

import "sync/atomic"

// Admission is the state on which PostgreSQL's decision to let servers of a Target log
// in was based: the role and the database as they were, with their limits, the settings
// that they give to log-ins, and whatever else a log-in depends on. All servers that
// logged in under the same state share it. Any thread may ask whether it is over;
// nothing else of it changes.
type Admission struct {
	Whose string // the numbers of the role and of the database, which no other has; "": not known
	state string // the whole state, in a form that the node chooses
	over  atomic.Bool
}

// Over says that PostgreSQL might decide differently now, so the server must not be
// used for later log-ins. A server without an Admission, for replication, is never
// over.
func (a *Admission) Over() bool { return a != nil && a.over.Load() }

// SameRole says that two Admissions are of the same role and database.
func (a *Admission) SameRole(b *Admission) bool {
	return a == b || a != nil && b != nil && a.Whose == b.Whose
}

// End makes it over.
func (a *Admission) End() {
	if a != nil {
		a.over.Store(true)
	}
}

// Finding is what a node says about the log-in of the server that is asked.
type Finding struct {
	Whose  string // "": the node did not say
	State  string
	Loaded string // when this server read the configuration files
}

// Admit is the Admission of a server with this Finding; known is that of other servers
// of its Target, which is shared if it is the same.
func (f Finding) Admit(known *Admission) *Admission {
	if known != nil && !known.Over() && known.Whose == f.Whose && known.state == f.State {
		return known
	}
	return &Admission{Whose: f.Whose, state: f.State}
}

// ReadFinding reads the answer to AdmissionQuestion. Without a row the node did not
// say.
func ReadFinding(rows [][]string) (f Finding) {
	if len(rows) == 1 && len(rows[0]) == 3 {
		f = Finding{rows[0][0], rows[0][1], rows[0][2]}
	}
	return f
}

// AdmissionQuestion asks a server, as the user that has logged in to it, for the state
// that the log-in depends on. It means the same under any settings. Once the role is
// gone the answer is an error.
//
// Triggers on log-ins exist since PostgreSQL 17; what their functions read is not
// noticed. The password is noticed where the user may read it. xmin would reveal more,
// but also much that does not matter: every GRANT to somebody else changes the
// database's row.
const AdmissionQuestion = `SET TRANSACTION ISOLATION LEVEL READ COMMITTED;
SET LOCAL statement_timeout = 0;
SET LOCAL search_path = pg_catalog, pg_temp;
WITH RECURSIVE role AS (
  SELECT oid, rolname, rolsuper, rolcanlogin, rolreplication, rolbypassrls, rolconnlimit, rolvaliduntil FROM pg_roles WHERE rolname = session_user
), base AS (
  SELECT oid, datname, datallowconn, datconnlimit FROM pg_database WHERE datname = current_database()
), member AS (
  SELECT roleid FROM pg_auth_members JOIN role ON member = role.oid
  UNION SELECT m.roleid FROM pg_auth_members m JOIN member ON m.member = member.roleid
)
SELECT concat(role.oid, '/', base.oid), hashtextextended(concat_ws(' ',
  quote_ident(rolname), rolsuper, rolcanlogin, rolreplication, rolbypassrls, rolconnlimit, extract(epoch FROM rolvaliduntil), rolvaliduntil <= now(),
  quote_ident(datname), datallowconn, datconnlimit, has_database_privilege(role.oid, base.oid, 'CONNECT'),
  (SELECT string_agg(setdatabase || '/' || setrole || setconfig::text, ' ' ORDER BY setdatabase, setrole) FROM pg_db_role_setting
    WHERE setdatabase IN (0, base.oid) AND setrole IN (0, role.oid)),
  (SELECT string_agg(roleid::text, ',' ORDER BY roleid) FROM member),
  (SELECT string_agg(concat_ws(',', e.oid, e.evtenabled, p.oid, p.xmin), ' ' ORDER BY e.oid) FROM pg_event_trigger e
    JOIN pg_proc p ON p.oid = e.evtfoid WHERE e.evtevent = 'login'),
  CASE WHEN has_column_privilege('pg_authid', 'rolpassword', 'SELECT') THEN
    query_to_xml('SELECT hashtextextended(rolpassword, 0) FROM pg_catalog.pg_authid WHERE oid = ' || role.oid, true, true, '')::text END), 0),
  extract(epoch FROM pg_conf_load_time())
FROM role, base`
