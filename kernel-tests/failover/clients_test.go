package failover

import (
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"pgherd/bench/herd/herdtest"
)

// writer inserts one row after another, each in a transaction of its own, and keeps what it is told about each.
type writer struct {
	first int
	told  map[int]string // by id, the SQLSTATE; "" if the row was acknowledged
	lost  string
}

func (w *writer) run(conn *pgconn.PgConn, stop <-chan struct{}) {
	w.told = map[int]string{}
	for id := w.first; !stopped(stop); id++ {
		_, err := herdtest.Ask(conn, fmt.Sprintf("INSERT INTO ledger VALUES (%d)", id))
		w.told[id] = code(conn, err)
		if strings.HasPrefix(w.told[id], "lost") {
			w.lost = w.told[id]
			return
		}
	}
}

// pace is the pause of a client after each request, because the tests share few cores.
const pace = 2 * time.Millisecond

func stopped(stop <-chan struct{}) bool {
	select {
	case <-stop:
		return true
	case <-time.After(pace):
		return false
	}
}

// writing is a number of writers at work.
type writing struct {
	w       *world
	all     []*writer
	runs    sync.WaitGroup
	stop    chan struct{}
	mayLose bool // acknowledged rows may be lost, because replication is asynchronous
}

// writes starts writers, each on a connection of its own.
func (w *world) writes(many int) *writing {
	w.Helper()
	ws := &writing{w: w, stop: make(chan struct{})}
	for i := range many {
		one, conn := &writer{first: (i + 1) * 1_000_000}, w.connect()
		ws.all = append(ws.all, one)
		ws.runs.Go(func() { one.run(conn, ws.stop) })
	}
	return ws
}

// end stops the writers, and compares what they were told with the rows on a node: every row that was
// acknowledged is there, and none that was reported as not done. After 08007 a row may be there or not. No
// writer was disconnected.
func (ws *writing) end(node int) {
	ws.w.Helper()
	close(ws.stop)
	ws.runs.Wait()
	there := map[string]bool{}
	for id := range strings.SplitSeq(ws.w.on(node, "SELECT id FROM ledger"), "\n") {
		there[id] = true
	}
	count := map[string]int{}
	for _, one := range ws.all {
		if one.lost != "" {
			ws.w.Errorf("a writer was disconnected: %s", one.lost)
		}
		for id, told := range one.told {
			is := there[fmt.Sprint(id)]
			switch {
			case told == "" && !is && !ws.mayLose:
				ws.w.Errorf("row %d was acknowledged, but is not there", id)
			case told == "40001" && is:
				ws.w.Errorf("row %d was reported as not done, but is there", id)
			case told != "" && told != "40001" && told != "08007":
				ws.w.Errorf("row %d: got the unexpected answer %s", id, told)
			}
			count[told]++
		}
	}
	ws.w.Logf("rows by SQLSTATE: %v", count)
	if count[""] == 0 {
		ws.w.Error("nothing was written")
	}
}

// reader sends one kind of read again and again, and keeps the results.
type reader struct {
	name    string
	ask     func(*pgconn.PgConn) (string, error)
	answers int
	failed  []string
	partly  bool // 40001 is allowed if a part of a pipeline has been answered
}

// This read takes its node a little time, so that the node is lost while it answers. (A read that says which node
// answers is never sent to a standby.)
const (
	aRead      = "SELECT count(*) FROM generate_series(1, 5000)"
	itsAnswer  = "5000"
	aPipeline  = 5 // reads
	wrongWords = "a wrong answer: "
)

// readers are clients that read in every form of the protocol.
func readers() []*reader {
	prepared := map[*pgconn.PgConn]bool{}
	var lock sync.Mutex
	once := func(conn *pgconn.PgConn) bool {
		lock.Lock()
		defer lock.Unlock()
		defer func() { prepared[conn] = true }()
		return !prepared[conn]
	}
	return []*reader{
		{name: "simple", ask: func(conn *pgconn.PgConn) (string, error) { return herdtest.Ask(conn, aRead) }},
		{name: "extended", ask: func(conn *pgconn.PgConn) (string, error) {
			ctx, cancel := herdtest.Limited(herdtest.AnswerLimit)
			defer cancel()
			r := conn.ExecParams(ctx, aRead+" LIMIT $1::int", [][]byte{[]byte("1")}, nil, nil, nil).Read()
			return first(r)
		}},
		{name: "prepared, as JDBC does", ask: func(conn *pgconn.PgConn) (string, error) {
			ctx, cancel := herdtest.Limited(herdtest.AnswerLimit)
			defer cancel()
			if once(conn) {
				if _, err := conn.Prepare(ctx, "S_1", aRead+" LIMIT $1::int", nil); err != nil {
					return "", err
				}
			}
			return first(conn.ExecPrepared(ctx, "S_1", [][]byte{[]byte("1")}, nil, nil).Read())
		}},
		{name: "one pipeline, one Sync", ask: func(conn *pgconn.PgConn) (string, error) {
			ctx, cancel := herdtest.Limited(herdtest.AnswerLimit)
			defer cancel()
			batch := &pgconn.Batch{}
			for range aPipeline {
				batch.ExecParams(aRead, nil, nil, nil, nil)
			}
			results, err := conn.ExecBatch(ctx, batch).ReadAll()
			if err != nil {
				return "", err
			}
			return string(results[0].Rows[0][0]), nil
		}},
		// Only requests that were sent since all were answered are repeated, and only as a whole.
		{name: "a pipeline, a Sync for each", partly: true, ask: func(conn *pgconn.PgConn) (string, error) {
			ctx, cancel := herdtest.Limited(herdtest.AnswerLimit)
			defer cancel()
			return pipelined(conn.StartPipeline(ctx))
		}},
	}
}

func first(r *pgconn.Result) (string, error) {
	if r.Err != nil {
		return "", r.Err
	}
	return string(r.Rows[0][0]), nil
}

// pipelined sends several requests before it reads an answer.
func pipelined(p *pgconn.Pipeline) (value string, err error) {
	for range aPipeline {
		p.SendQueryParams(aRead, nil, nil, nil, nil)
		if err := p.Sync(); err != nil {
			return "", err
		}
	}
	for range 2 * aPipeline { // each read has a result, and the end of its Sync
		result, gotten := p.GetResults()
		if gotten != nil {
			err = gotten
			continue
		}
		if r, ok := result.(*pgconn.ResultReader); ok {
			if value, gotten = first(r.Read()); gotten != nil {
				err = gotten
			}
		}
	}
	if closed := p.Close(); closed != nil && err == nil {
		err = closed
	}
	return value, err
}

// reading is a number of readers at work.
type reading struct {
	w    *world
	all  []*reader
	runs sync.WaitGroup
	stop chan struct{}
}

func (w *world) reads(all []*reader) *reading {
	w.Helper()
	rs := &reading{w: w, all: all, stop: make(chan struct{})}
	for _, r := range all {
		conn := w.connect()
		rs.runs.Go(func() {
			for !stopped(rs.stop) && !conn.IsClosed() {
				value, err := r.ask(conn)
				switch {
				case err != nil && r.partly && code(conn, err) == "40001":
				case err != nil:
					r.failed = append(r.failed, code(conn, err)+" "+err.Error())
				case value != itsAnswer:
					r.failed = append(r.failed, wrongWords+value)
				}
				r.answers++
			}
		})
	}
	return rs
}

// gets waits until each of these nodes has been sent so many more reads.
func (rs *reading) gets(more int, nodes ...string) {
	rs.w.Helper()
	before := rs.w.nodes()
	for _, node := range nodes {
		rs.w.eventually("reads go to "+node, func() error {
			if now := rs.w.nodes(); now[node].reads < before[node].reads+more {
				return fmt.Errorf("reads before: %d, now: %d", before[node].reads, now[node].reads)
			}
			return nil
		})
	}
}

// end stops the readers, none of which may have had an error.
func (rs *reading) end() {
	rs.w.Helper()
	close(rs.stop)
	rs.runs.Wait()
	for _, r := range rs.all {
		if len(r.failed) > 0 {
			rs.w.Errorf("a client that reads (%s): %d failures, %d answers: %s", r.name, len(r.failed), r.answers, r.failed[0])
		}
	}
}
