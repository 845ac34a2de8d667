package executor

import (
	"context"
	"slices"

	"pgherd/proxy/nodes"
	"pgherd/proxy/nodesql"
)

// Need is what a right is needed for.
type Need string

// The needs. Only without the first two there is no failover.
const (
	ToWatch      Need = "the health check"
	ToFailOver   Need = "failover"
	ToFollow     Need = "standbys with a primary_slot_name"
	ToSwitchOver Need = "SWITCHOVER"
	ToRecover    Need = "RECOVER"
)

// Lack is a right that the user does not have, by what would give it.
type Lack struct {
	Grant string
	For   Need
}

// right is one that a user who is no superuser may lack.
type right struct {
	need  Need
	since int // the version of PostgreSQL that can give it; before, a superuser alone has it
	sql   string
	grant string
}

const (
	mayRunPrograms = "SELECT pg_has_role('pg_execute_server_program', 'USAGE')"
	grantPrograms  = "GRANT pg_execute_server_program"
)

var rights = []right{
	{ToFailOver, 15, "SELECT has_parameter_privilege('primary_conninfo', 'ALTER SYSTEM')",
		"GRANT ALTER SYSTEM ON PARAMETER primary_conninfo (PostgreSQL 15 and newer; else it has to be a superuser)"},
	{ToFailOver, 0, "SELECT has_function_privilege('pg_promote(boolean, integer)', 'EXECUTE')", "GRANT EXECUTE ON FUNCTION pg_promote"},
	{ToFailOver, 0, "SELECT has_function_privilege('pg_reload_conf()', 'EXECUTE')", "GRANT EXECUTE ON FUNCTION pg_reload_conf"},
	{ToWatch, 0, "SELECT pg_has_role('pg_monitor', 'MEMBER')", "GRANT pg_monitor"},
	{ToFollow, 0, "SELECT rolreplication OR current_setting('primary_slot_name') = '' FROM pg_roles WHERE rolname = current_user", "ALTER ROLE ... REPLICATION"},
	{ToSwitchOver, 15, "SELECT pg_has_role('pg_checkpoint', 'USAGE')", "GRANT pg_checkpoint (PostgreSQL 15 and newer; else it has to be a superuser)"},
	{ToSwitchOver, 0, mayRunPrograms, grantPrograms},
	{ToRecover, 0, mayRunPrograms, grantPrograms},
	{ToRecover, 0, "SELECT has_database_privilege(current_database(), 'TEMP')", "GRANT TEMPORARY ON DATABASE"},
}

// Rights names what the user may not do on a node of what is needed for this; nothing: all of
// it.
func (e *Executor) Rights(ctx context.Context, n *nodes.Node, needs ...Need) (missing []Lack, err error) {
	err = e.on(ctx, n, "ask for the rights on", revokeLimit, func(ctx context.Context, c *nodesql.Conn) error {
		row, err := c.Row(ctx, "SELECT rolsuper FROM pg_roles WHERE rolname = current_user")
		if err != nil || row[0] == "t" {
			return err
		}
		for _, r := range rights {
			if !slices.Contains(needs, r.need) {
				continue
			}
			has := []string{"f"}
			if c.ServerVersion() >= r.since {
				if has, err = c.Row(ctx, r.sql); err != nil {
					return err
				}
			}
			if has[0] != "t" {
				missing = append(missing, Lack{r.grant, r.need})
			}
		}
		return nil
	})
	return missing, err
}

// Rival is the name of another program that promotes standbys, if one is connected to the
// node; "": none is.
func (e *Executor) Rival(ctx context.Context, n *nodes.Node) (name string, err error) {
	err = e.on(ctx, n, "ask who else promotes", revokeLimit, func(ctx context.Context, c *nodesql.Conn) error {
		rows, err := c.Rows(ctx, `SELECT application_name FROM pg_stat_activity
 WHERE application_name ~* '^(patroni|repmgr|pg_auto_?failover|stolon|pg_auto_?ctl)' LIMIT 1`)
		if err == nil && len(rows) > 0 {
			name = rows[0][0]
		}
		return err
	})
	return name, err
}
