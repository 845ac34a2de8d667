package firsthour

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"testing"

	"pgherd/bench/herd"
	"pgherd/bench/herd/herdtest"
)

// failoverManual is the chapter that has a herd of its own, whose primary the test kills.
const failoverManual = "docs/manual/failover.md"

// These are the headings of that chapter at which something happens before its blocks are tried.
const (
	lossSeen      = "How to see what happened"
	lostOneIsBack = "When the old primary returns"
)

// TestFailoverManual sets up a herd as the manual says, kills its primary, starts that again, and makes a standby of it.
// What the manual shows must be printed meanwhile.
func TestFailoverManual(t *testing.T) {
	d := newDesk(t, 2)
	d.write("pool_passwd", "alice:TEXTalice\npostgres:TEXTpostgres\n")
	d.env = append(d.env, "PGUSER=postgres")
	tries := map[string]func(string) error{
		"sql primary": d.grants,
		"sql each": func(sql string) error {
			for i := range d.herd.Nodes() {
				if err := d.onNode(i, sql+"ALTER SYSTEM SET synchronous_commit = on;\nSELECT pg_reload_conf();\n"); err != nil {
					return err
				}
			}
			return nil
		},
		"sh each": d.installs,
		"ini":     d.serves,
		"log":     d.logged,
		"console": d.prints,
	}
	heading := ""
	for _, b := range documented(t) {
		if b.file != failoverManual {
			continue
		}
		if b.heading != heading {
			heading = b.heading
			d.suffers(heading)
		}
		kind := strings.TrimSpace(b.kind + " " + b.mark)
		if kind == "sh "+elsewhere {
			d.rewinds(b.text)
			d.becomes(0, "down|standby")
			continue
		}
		try, known := tries[kind]
		if !known {
			t.Fatalf("%s:%d: a block of the kind %q cannot be tried", b.file, b.line, kind)
		}
		herdtest.Eventually(t, fmt.Sprintf("%s:%d prints what it shows", b.file, b.line), func() error { return try(b.text) })
	}
	if err := d.herd.Restart(t.Context(), 1); err != nil {
		t.Fatal(err)
	}
	d.becomes(1, "down|standby")
	if err := d.runs("psql -c 'ATTACH 1'"); err != nil {
		t.Error(err)
	}
	for i, is := range []string{"up|standby", "up|standby", "up|primary"} {
		d.becomes(i, is)
	}
	if rows, err := d.herd.ExecOn(t.Context(), 0, "SELECT note FROM notes ORDER BY note"); err != nil || rows != "after\nbefore" {
		t.Errorf("the old primary has the rows %q, error %v", rows, err)
	}
}

// suffers causes the event that a part of the chapter is about.
func (d *desk) suffers(heading string) {
	d.Helper()
	switch heading {
	case lossSeen:
		if err := d.runs("psql -c 'CREATE TABLE notes (note text)' -c \"INSERT INTO notes VALUES ('before')\""); err != nil {
			d.Fatal(err)
		}
		if err := d.herd.Slay(0); err != nil {
			d.Fatal(err)
		}
		if err := d.runs("psql -c \"INSERT INTO notes VALUES ('after')\""); err != nil {
			d.Fatal(err)
		}
	case lostOneIsBack:
		if err := d.herd.Restart(d.Context(), 0); err != nil {
			d.Fatal(err)
		}
	}
}

// becomes waits until pgherd has a node in this state, and the node reports this role.
func (d *desk) becomes(node int, want string) {
	d.Helper()
	herdtest.Eventually(d.T, fmt.Sprintf("node %d is %s", node, want), func() error {
		return d.prints(fmt.Sprintf("$ psql -Atc 'SHOW POOL_NODES' | cut -d'|' -f1,4,8 | grep '^%d'\n%[1]d|%s\n", node, want))
	})
}

// grants gives the role its rights on the node that is the primary. Before PostgreSQL 15 it must be a superuser instead,
// as the manual says.
func (d *desk) grants(sql string) error {
	version, err := d.herd.Exec(d.Context(), "SELECT current_setting('server_version_num')::int / 10000")
	if err != nil {
		return err
	}
	if n, _ := strconv.Atoi(version); n < 15 {
		sql, _, _ = strings.Cut(sql, "GRANT ")
		sql += "ALTER ROLE pgherd SUPERUSER;\n"
	}
	for i := range d.herd.Nodes() {
		if recovering, err := d.herd.ExecOn(d.Context(), i, "SELECT pg_is_in_recovery()"); err == nil && recovering == "f" {
			return d.onNode(i, sql)
		}
	}
	return errors.New("no node is a primary")
}

// rewinds runs the manual's commands with this node's folder and the new primary's address, and with commands that stop
// and start a node here in the place of systemctl.
func (d *desk) rewinds(block string) {
	d.Helper()
	old, primary := d.herd.Nodes()[0], d.herd.Nodes()[1]
	commands := strings.NewReplacer("/var/lib/postgresql/15/main", old.Dir, "\npg_rewind ", "\n"+d.herd.Tool("pg_rewind")+" ",
		"host=db1.example.com", fmt.Sprintf("host=%s port=%d", d.herd.Dir, primary.Port), "systemctl", "true").Replace(block)
	cred, err := herd.Unprivileged()
	if err != nil {
		d.Fatal(err)
	}
	if err := d.herd.Shutdown(0); err != nil {
		d.Fatal(err)
	}
	d.becomes(0, "down|unknown")
	mustRun(d.T, shell(d.Context(), d.herd.Dir, cred, "set -e\n"+commands))
	if err := d.herd.Restart(d.Context(), 0); err != nil {
		d.Fatal(err)
	}
}

// installs runs commands in the data folder of each node. The files stay the user's who runs the test.
func (d *desk) installs(block string) error {
	for _, n := range d.herd.Nodes() {
		commands := strings.NewReplacer("/var/lib/postgresql/15/main", n.Dir,
			"chown postgres: recovery_1st_stage pgpool_remote_start", "test -s recovery_1st_stage && test -x pgpool_remote_start").Replace(block)
		if err := d.runs(commands); err != nil {
			return err
		}
	}
	return nil
}

// onNode has psql run statements on a node itself.
func (d *desk) onNode(i int, sql string) error {
	d.write("node.sql", sql)
	return d.runs(fmt.Sprintf("psql -p %d -d postgres -v ON_ERROR_STOP=1 -f node.sql", d.herd.Nodes()[i].Port))
}

// serves starts pgherd with this configuration, in front of the desk's nodes.
func (d *desk) serves(config string) error {
	for i, n := range d.herd.Nodes() {
		config = strings.ReplaceAll(config, fmt.Sprintf("'db%d.example.com'", i), fmt.Sprintf("'%s'\nbackend_port%d = %d", n.Host, i, n.Port))
	}
	d.write("pgherd.conf", config+d.words.Replace(minimal+fmt.Sprintf(`listen_addresses = '127.0.0.1'
port = LISTEN
pid_file_name = 'pgherd.pid'
work_dir = '%s'
admin_users = 'postgres'
`, d.dir)))
	return d.runs("pgherd -n=false -f pgherd.conf 2> pgherd.log")
}
