package executor

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"pgherd/proxy/nodes"
	"pgherd/proxy/nodesql"
)

// StartScript is the script of Pgpool-II's that starts PostgreSQL on a node.
const StartScript = "pgpool_remote_start"

// recoveryFunctions are those of Pgpool-II's extension that run a script, with the types of their arguments.
var recoveryFunctions = map[string]string{
	"pgpool_recovery": "text, text, text, text, integer, text, text",
	StartScript:       "text, text",
}

// RunScript runs a script of a recovery on a node: by the function of Pgpool-II's extension pgpool_recovery where that is
// installed in the database or in template1, and has no output then; else by Run.
func (e *Executor) RunScript(ctx context.Context, n *nodes.Node, script string, arguments ...string) (output string, err error) {
	function, values := "pgpool_recovery", arguments
	if script == StartScript {
		function = script
	} else { // the function knows the data folder, which comes first
		values = slices.Concat([]string{script}, arguments[1:])
	}
	conn, name, err := e.find(ctx, n, function)
	if err != nil {
		return "", fmt.Errorf("run %s on node %d: %w", script, n.Index, err)
	}
	if conn == nil {
		return e.Run(ctx, n, script, arguments...)
	}
	defer conn.Close()
	if err := call(ctx, conn, name, values); err != nil {
		return "", fmt.Errorf("run %s on node %d by %s(): %w", script, n.Index, function, err)
	}
	return "", nil
}

func call(ctx context.Context, c *nodesql.Conn, function string, values []string) error {
	literals := make([]string, len(values))
	for i, v := range values {
		literals[i] = nodesql.Literal(v)
	}
	row, err := c.Row(ctx, "SELECT "+function+"("+strings.Join(literals, ", ")+")")
	if err == nil && row[0] != "t" {
		err = fmt.Errorf("it returned %q; the log of PostgreSQL there tells why", row[0])
	}
	return err
}

// find looks for a function of the extension, and returns its name with the schema, and a connection to the database that
// has it; nil: none has. Only a superuser's function counts, because it is called with the rights of recovery_user.
func (e *Executor) find(ctx context.Context, n *nodes.Node, function string) (conn *nodesql.Conn, name string, err error) {
	for i, database := range slices.Compact([]string{e.access.Database, "template1"}) {
		access := e.access
		access.Database = database
		conn, err := nodesql.Dial(ctx, access, n)
		if err != nil {
			if i > 0 { // who may not log in there does not use it
				break
			}
			return nil, "", err
		}
		rows, err := conn.Rows(ctx, `SELECT quote_ident(s.nspname) FROM pg_catalog.pg_proc p
 JOIN pg_catalog.pg_namespace s ON s.oid = p.pronamespace JOIN pg_catalog.pg_roles o ON o.oid = p.proowner
 WHERE o.rolsuper AND p.proname = `+nodesql.Literal(function)+` AND pg_catalog.oidvectortypes(p.proargtypes) = `+nodesql.Literal(recoveryFunctions[function])+` LIMIT 1`)
		if err == nil && len(rows) > 0 {
			return conn, rows[0][0] + "." + function, nil
		}
		if conn.Close(); err != nil {
			return nil, "", err
		}
	}
	return nil, "", nil
}

// copySenders is how many WAL senders a base backup takes: one copies, the other streams.
const copySenders = 2

// Preflight tells what a recovery would lack on a primary with this data folder, which these scripts copy; nothing: it may
// begin.
func (e *Executor) Preflight(ctx context.Context, n *nodes.Node, folder string, scripts ...string) (missing []string, err error) {
	byFunction, missing, err := e.wayToRun(ctx, n)
	if err != nil {
		return nil, err
	}
	err = e.on(ctx, n, "look at", revokeLimit, func(ctx context.Context, c *nodesql.Conn) error {
		row, err := c.Row(ctx, `SELECT current_setting('wal_level'), current_setting('max_wal_senders')::int - (SELECT count(*) FROM pg_stat_replication)`)
		if err != nil {
			return err
		}
		if row[0] == "minimal" {
			missing = append(missing, "wal_level = replica; it is minimal")
		}
		if strings.HasPrefix(row[1], "-") || row[1] == "0" || row[1] == "1" {
			missing = append(missing, fmt.Sprintf("%d free WAL senders; there are %s (max_wal_senders)", copySenders, row[1]))
		}
		return nil
	})
	if err != nil || byFunction || len(missing) > 0 {
		return missing, err
	}
	output, err := e.runShell(ctx, n, "look into the data folder of", lookForScripts(folder, scripts))
	if output != "" {
		missing = append(missing, strings.Split(output, "\n")...)
	}
	return missing, err
}

// ByFunction says whether the extension runs the scripts there.
func (e *Executor) ByFunction(ctx context.Context, n *nodes.Node) (bool, error) {
	conn, _, err := e.find(ctx, n, "pgpool_recovery")
	if err != nil {
		return false, fmt.Errorf("look for pgpool_recovery() on node %d: %w", n.Index, err)
	}
	if conn != nil {
		conn.Close()
	}
	return conn != nil, nil
}

// wayToRun says whether the extension runs scripts there; if not, which rights are missing without it.
func (e *Executor) wayToRun(ctx context.Context, n *nodes.Node) (byFunction bool, missing []string, err error) {
	if byFunction, err = e.ByFunction(ctx, n); err != nil || byFunction {
		return byFunction, nil, err
	}
	lacks, err := e.Rights(ctx, n, ToRecover)
	for _, l := range lacks {
		missing = append(missing, "the right of "+l.Grant)
	}
	return false, missing, err
}

// lookForScripts is what writes a line for each thing that is not as it has to be in a data folder.
func lookForScripts(folder string, scripts []string) string {
	var look strings.Builder
	say := func(condition, text string) { fmt.Fprintf(&look, "[ %s ] || echo %s; ", condition, word(text)) }
	say(". -ef "+word(folder), "the data folder as configured: "+folder+" is another one")
	for _, s := range scripts {
		file := word("./" + s)
		fmt.Fprintf(&look, "if [ -f %s ]; then ", file)
		say("-x "+file, "the right to execute "+s+" in the data folder (chmod 700)")
		fmt.Fprintf(&look, "else echo %s; fi; ", word(s+" in the data folder (pgherd recovery-script prints one)"))
	}
	return strings.TrimSuffix(look.String(), "; ")
}
