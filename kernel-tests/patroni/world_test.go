package patroni

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"pgherd/bench/herd"
	"pgherd/bench/herd/herdtest"
)

// world is a cluster with a pgherd in front of it.
type world struct {
	*testing.T
	*cluster
	proxy *herd.Proxy
	eye   *pgconn.PgConn // sends commands to pgherd; a new log-in would wait for a primary
}

// inFront starts a pgherd of this scenario's own, and waits until it uses all nodes.
func (c *cluster) inFront(t *testing.T, config ...string) *world {
	t.Helper()
	c.whole(t)
	w := &world{T: t, cluster: c}
	lines := []string{"failover_mode = patroni", "sr_check_user = 'postgres'", "sr_check_password = 'postgres'", "sr_check_database = 'postgres'",
		"work_dir = '" + t.TempDir() + "'", "log_min_messages = info", "failover_wait_timeout = 60", "admin_users = 'alice'",
		"patroni_ca_file = '" + c.certs.Path("ca.crt") + "'", "patroni_cert_file = '" + c.certs.Path("pgherd.crt") + "'", "patroni_key_file = '" + c.certs.Path("pgherd.key") + "'"}
	set := herd.ProxySettings{Binary: binary}
	for i, m := range c.all {
		set.Nodes = append(set.Nodes, herd.Node{Index: i, Host: "127.0.0.1", Port: m.port, Dir: m.data})
		lines = append(lines, fmt.Sprintf("patroni_url%d = '%s'", i, m.url()))
	}
	set.Config = strings.Join(append(lines, config...), "\n")
	w.proxy = herdtest.StartProxy(t, set)
	t.Cleanup(func() { t.Log(w.decided()) })
	w.eye = w.connect()
	w.allUp()
	w.must(herdtest.Ask(w.connect(), "TRUNCATE ledger"))
	return w
}

func (w *world) must(got string, err error) string {
	w.Helper()
	if err != nil {
		w.Fatal(err)
	}
	return got
}

func (w *world) done(err error) {
	w.Helper()
	w.must("", err)
}

func (w *world) eventually(what string, check func() error) {
	w.Helper()
	herdtest.Eventually(w.T, what, check)
}

func (w *world) connect() *pgconn.PgConn {
	w.Helper()
	conn, err := herdtest.Connect(fmt.Sprintf("host=%s port=%d user=%s password=%s dbname=%s sslmode=disable", w.proxy.Host, w.proxy.Port, herd.User, herd.User, herd.Database))
	w.done(err)
	w.Cleanup(func() { herdtest.Close(conn) })
	return conn
}

// ask sends a query that must not fail.
func (w *world) ask(conn *pgconn.PgConn, sql string) string {
	w.Helper()
	return herdtest.MustAsk(w.T, conn, sql)
}

func (w *world) log() string {
	w.Helper()
	text, err := os.ReadFile(w.proxy.Log())
	return w.must(string(text), err)
}

// decided are the lines of the log that tell what pgherd has decided.
func (w *world) decided() string {
	var all []string
	for line := range strings.Lines(w.log()) {
		if _, text, told := strings.Cut(line, "herd: "); told {
			all = append(all, line[:len("2006-01-02 15:04:05.000")]+" "+text)
		}
	}
	return strings.Join(all, "")
}

// logs waits until pgherd has logged this text.
func (w *world) logs(text string) {
	w.Helper()
	w.eventually("pgherd's log tells "+text, func() error {
		if !strings.Contains(w.log(), text) {
			return errors.New("the log does not have this text yet")
		}
		return nil
	})
}

// rows are the rows of one of pgherd's commands, by the names of columns.
func (w *world) rows(command string) (all []map[string]string) {
	w.Helper()
	ctx, cancel := herdtest.Limited(herdtest.AnswerLimit)
	defer cancel()
	results, err := w.eye.Exec(ctx, command).ReadAll()
	w.done(err)
	for _, row := range results[0].Rows {
		columns := map[string]string{}
		for i, f := range results[0].FieldDescriptions {
			columns[f.Name] = string(row[i])
		}
		all = append(all, columns)
	}
	return all
}

// shows waits until SHOW POOL_NODES has a node in this status.
func (w *world) shows(node int, status string) {
	w.Helper()
	w.eventually(name(node)+" is "+status, func() error {
		if row := w.rows("SHOW POOL_NODES")[node]; row["status"] != status {
			return fmt.Errorf("it is %v", row)
		}
		return nil
	})
}

// allUp waits until pgherd uses all nodes, and Patroni of each answers.
func (w *world) allUp() {
	w.Helper()
	for i := range w.all {
		w.shows(i, "up")
	}
	w.answers("yes")
}

// answers waits until SHOW POOL_PATRONI tells of every REST API whether it answers.
func (w *world) answers(want string) {
	w.Helper()
	w.eventually("REST APIs answer: "+want, func() error {
		for _, row := range w.rows("SHOW POOL_PATRONI") {
			if row["answers"] != want {
				return fmt.Errorf("%v", row)
			}
		}
		return nil
	})
}

// mustLead is the number of Patroni's leader.
func (w *world) mustLead() int {
	w.Helper()
	leader, err := w.leader()
	if err != nil || leader < 0 {
		w.Fatalf("leader %d, %v", leader, err)
	}
	return leader
}

// does runs patronictl, which tells in its output, and not by its status, that it was refused.
func (w *world) does(args ...string) {
	w.Helper()
	w.Logf("patronictl %v: %s", args, w.must(w.ctl(args...)))
}

// reinit has Patroni copy the leader to a node, once it has one and is not busy with the node.
func (w *world) reinit(node int) {
	w.Helper()
	w.eventually("Patroni copies the leader to "+name(node), func() error {
		out, err := w.ctl("reinit", "herd", name(node), "--force")
		if err == nil && !strings.Contains(out, "Success") {
			err = errors.New(out)
		}
		return err
	})
}

// standbys are the numbers of the others, first the synchronous one.
func (w *world) standbys() (all []int) {
	w.Helper()
	list, err := w.list()
	w.done(err)
	for _, l := range list {
		n, _ := strconv.Atoi(strings.TrimPrefix(l.Member, "node"))
		switch l.Role {
		case "Sync Standby":
			all = slices.Insert(all, 0, n)
		case "Replica":
			all = append(all, n)
		}
	}
	return all
}

// primary is the number of the node to which pgherd sends writes. The question is repeated if the node
// is lost meanwhile.
func (w *world) primary(conn *pgconn.PgConn) (node int) {
	w.Helper()
	w.eventually("a write is acknowledged", func() error {
		port, err := herdtest.Ask(conn, "INSERT INTO ledger SELECT coalesce(max(id), 0) + 1 FROM ledger WHERE id < 1000 RETURNING current_setting('port')")
		if told := code(conn, err); strings.HasPrefix(told, "lost") {
			w.Fatalf("a client is disconnected: %s", told)
		}
		node = slices.IndexFunc(w.all[:], func(m *member) bool { return fmt.Sprint(m.port) == port })
		return err
	})
	return node
}

// another waits until a node takes writes that is not this one, and returns its number.
func (w *world) another(lost int) int {
	w.Helper()
	now := w.primary(w.connect())
	if now == lost {
		w.Errorf("the primary is node %d again", now)
	}
	return now
}

// code is the SQLSTATE of an error, "" if there is none, or "lost" if the connection has ended.
func code(conn *pgconn.PgConn, err error) string {
	f, told := errors.AsType[*pgconn.PgError](err)
	switch {
	case err == nil:
		return ""
	case !told || conn.IsClosed():
		return "lost: " + err.Error()
	}
	return f.Code
}

// writer inserts one row after another, each in a transaction of its own, and keeps what it is told.
type writer struct {
	first int
	told  map[int]string // by id, the SQLSTATE; "" if the row was acknowledged
}

// pace is the pause of a client after each request, because the tests share few cores.
const pace = 5 * time.Millisecond

func (one *writer) run(conn *pgconn.PgConn, stop <-chan struct{}) {
	for id := one.first; ; id++ {
		select {
		case <-stop:
			return
		case <-time.After(pace):
		}
		_, err := herdtest.Ask(conn, fmt.Sprintf("INSERT INTO ledger VALUES (%d)", id))
		if one.told[id] = code(conn, err); strings.HasPrefix(one.told[id], "lost") {
			return
		}
	}
}

// writing is a number of writers at work.
type writing struct {
	w    *world
	all  []*writer
	runs sync.WaitGroup
	stop chan struct{}
}

// writers is how many clients write.
const writers = 4

// writes starts writers, and waits until some rows are written.
func (w *world) writes() *writing {
	w.Helper()
	ws := &writing{w: w, stop: make(chan struct{})}
	for i := range writers {
		one, conn := &writer{first: (i + 1) * 1_000_000, told: map[int]string{}}, w.connect()
		ws.all = append(ws.all, one)
		ws.runs.Go(func() { one.run(conn, ws.stop) })
	}
	w.more(20)
	return ws
}

// more waits until so many more rows are written.
func (w *world) more(rows int) {
	w.Helper()
	conn := w.connect()
	count := func() int {
		n, _ := strconv.Atoi(w.ask(conn, "/*NO LOAD BALANCE*/ SELECT count(*) FROM ledger"))
		return n
	}
	before := count()
	w.eventually("rows are written", func() error {
		if now := count(); now < before+rows {
			return fmt.Errorf("rows before: %d, now: %d", before, now)
		}
		return nil
	})
}

// end stops the writers, and compares what they were told with the rows on a node: every row that was
// acknowledged is there, and none that was reported as not done. After 08007 a row may be there or not. No
// writer was disconnected. After the SQLSTATEs that are allowed beside these, too, a row is not there.
func (ws *writing) end(node int, allowed ...string) {
	ws.w.Helper()
	close(ws.stop)
	ws.runs.Wait()
	text, err := ws.w.all[node].in(herd.Database, "SELECT id FROM ledger")
	ws.w.done(err)
	there := map[string]bool{}
	for id := range strings.SplitSeq(text, ",") {
		there[id] = true
	}
	notDone, count, wrong := append(allowed, "40001"), map[string]int{}, map[string][]int{}
	for _, one := range ws.all {
		for id, told := range one.told {
			is := there[fmt.Sprint(id)]
			switch {
			case told == "" && !is:
				wrong["acknowledged, but not there"] = append(wrong["acknowledged, but not there"], id)
			case slices.Contains(notDone, told) && is:
				wrong["reported as not done, but there"] = append(wrong["reported as not done, but there"], id)
			case told != "" && told != "08007" && !slices.Contains(notDone, told):
				wrong["answered by "+told] = append(wrong["answered by "+told], id)
			}
			count[told]++
		}
	}
	for what, ids := range wrong {
		ws.w.Errorf("%d rows, such as %d, are %s", len(ids), ids[0], what)
	}
	ws.w.Logf("rows by SQLSTATE: %v", count)
}
