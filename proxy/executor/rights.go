package executor

import (
	"context"

	"pgherd/proxy/nodes"
	"pgherd/proxy/nodesql"
)

// Rights names what the user may not do on a node that a failover needs; nothing: all of
// it. PostgreSQL before 15 lets superusers alone change primary_conninfo.
func (e *Executor) Rights(ctx context.Context, n *nodes.Node) (missing []string, err error) {
	err = e.on(ctx, n, "ask for the rights on", revokeLimit, func(ctx context.Context, c *nodesql.Conn) error {
		row, err := c.Row(ctx, "SELECT rolsuper FROM pg_roles WHERE rolname = current_user")
		if err != nil || row[0] == "t" {
			return err
		}
		alter := "SELECT false"
		if c.ServerVersion() >= 15 {
			alter = "SELECT has_parameter_privilege('primary_conninfo', 'ALTER SYSTEM')"
		}
		for _, right := range []struct{ sql, grant string }{
			{alter, "GRANT ALTER SYSTEM ON PARAMETER primary_conninfo (PostgreSQL 15 and newer; else it has to be a superuser)"},
			{"SELECT has_function_privilege('pg_promote(boolean, integer)', 'EXECUTE')", "GRANT EXECUTE ON FUNCTION pg_promote"},
			{"SELECT has_function_privilege('pg_reload_conf()', 'EXECUTE')", "GRANT EXECUTE ON FUNCTION pg_reload_conf"},
			{"SELECT pg_has_role('pg_monitor', 'MEMBER')", "GRANT pg_monitor"},
		} {
			has, err := c.Row(ctx, right.sql)
			if err != nil {
				return err
			}
			if has[0] != "t" {
				missing = append(missing, right.grant)
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
