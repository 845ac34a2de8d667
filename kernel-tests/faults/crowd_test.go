package faults_test

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"net"
	"testing"
	"time"

	"pgherd/bench/herd"
)

const (
	crowdClients = 2000
	crowdServers = 20
	crowdTurns   = 6
)

// TestCrowdSharesServers has two thousand clients that share twenty servers. Each has its own settings and prepared
// statements on every server, and none waits too long.
func TestCrowdSharesServers(t *testing.T) {
	engines(t, func(t *testing.T, engine string) {
		proxy := startProxy(t, herd.ProxySettings{HBA: trustHBA, Config: fmt.Sprintf(
			"io_engine = %s\npool_mode = transaction\nmax_db_connections = %d\nquery_wait_timeout = 45", engine, crowdServers)})
		settled(t, proxy)
		began := time.Now()
		all := logInMany(t, proxy, crowdClients)
		t.Logf("%d clients logged in after %v", len(all), time.Since(began).Round(time.Millisecond))
		most := watchServers(t)
		began = time.Now()
		tag := rand.Uint32() // so that no other client's rows have the same name
		err := each(crowdClients, crowdClients, func(i int) error {
			return newDweller(tag, i, all[i]).live()
		})
		if err != nil {
			t.Error(err)
		}
		t.Logf("%d turns were done in %v", crowdClients*(crowdTurns+2), time.Since(began).Round(time.Millisecond))
		wantAtMost(t, most(), crowdServers)
		logWaits(t, proxy)
		for _, conn := range all {
			conn.Close()
		}
		allIdle(t, proxy)
		settled(t, proxy)
	})
}

// dweller is one of these clients. Its settings and prepared statements differ from those that other clients have under
// the same names.
type dweller struct {
	conn   net.Conn
	random *rand.Rand
	i      int
	name   string // the name in its rows
	month  string // the month of 01/02 under its DateStyle
	rows   int    // number of rows that it has written
}

func newDweller(tag uint32, i int, conn net.Conn) *dweller {
	return &dweller{conn: conn, i: i, name: fmt.Sprintf("d%d-%d", tag, i), random: rand.New(rand.NewPCG(uint64(i), 1)), month: []string{"1", "2"}[i%2]}
}

func (d *dweller) live() error {
	order := []string{"MDY", "DMY"}[d.i%2]
	if err := d.wantAnswer("", fmt.Sprintf("SET work_mem = '%s'; SET DateStyle = 'SQL, %s'", d.memory(), order)); err != nil {
		return err
	}
	if err := d.prepare(); err != nil {
		return err
	}
	turns := []func() error{d.setting, d.meaning, d.prepared, d.transaction, d.unnamed}
	for range crowdTurns {
		if err := turns[d.random.IntN(len(turns))](); err != nil {
			return err
		}
	}
	return nil
}

func (d *dweller) setting() error { return d.wantAnswer(d.memory(), "SHOW work_mem") }

// memory is an odd number of kB, because PostgreSQL shows 1024 kB as 1 MB.
func (d *dweller) memory() string { return fmt.Sprintf("%dkB", 1001+2*d.i) }

// meaning checks a text that all clients use, and whose result depends on the settings.
func (d *dweller) meaning() error { return d.wantBound(d.month, "month") }

func (d *dweller) prepared() error {
	n := d.random.IntN(1000)
	return d.wantBound(fmt.Sprint(n+d.i%7), "plus", fmt.Sprint(n))
}

// prepare prepares statements that differ between clients, under names that all clients use.
func (d *dweller) prepare() error {
	var b []byte
	b = append(b, parseMessage("month", "SELECT extract(month FROM date '01/02/2024')::int")...)
	b = append(b, parseMessage("plus", fmt.Sprintf("SELECT $1::int + %d", d.i%7))...)
	return d.wantReply("", append(b, message('S')...))
}

func (d *dweller) unnamed() error {
	n := fmt.Sprint(d.random.IntN(1000))
	b := append(parseMessage("", "SELECT 'unnamed ' || $1::text"), bindAndRun("", n)...)
	return d.wantReply("unnamed "+n, b)
}

// transaction checks that a transaction sees its own row and its temporary settings.
func (d *dweller) transaction() error {
	const local = "BEGIN; SET LOCAL work_mem = '9999kB'; SHOW work_mem"
	if err := d.wantAnswer("9999kB", local); err != nil {
		return err
	}
	d.rows++
	insert := fmt.Sprintf("INSERT INTO log VALUES ('%s', %d)", d.name, d.rows)
	if err := d.wantAnswer("", insert); err != nil {
		return err
	}
	count := fmt.Sprintf("SELECT count(*) FROM log WHERE client = '%s'", d.name)
	if err := d.wantAnswer(fmt.Sprint(d.rows), count); err != nil {
		return err
	}
	return d.wantAnswer("", "COMMIT")
}

func (d *dweller) wantAnswer(want, sql string) error {
	if err := d.wantReply(want, query(sql)); err != nil {
		return fmt.Errorf("client %d: %s: %w", d.i, sql, err)
	}
	return nil
}

func (d *dweller) wantBound(want, statement string, values ...string) error {
	if err := d.wantReply(want, bindAndRun(statement, values...)); err != nil {
		return fmt.Errorf("client %d: statement %s %v: %w", d.i, statement, values, err)
	}
	return nil
}

func (d *dweller) wantReply(want string, request []byte) error {
	if err := d.conn.SetDeadline(time.Now().Add(answerLimit)); err != nil {
		return err
	}
	if _, err := d.conn.Write(request); err != nil {
		return err
	}
	got, err := readValue(d.conn)
	if err == nil && got != want {
		err = fmt.Errorf("%w: got %q, want %q", errWrong, got, want)
	}
	return err
}

func parseMessage(name, sql string) []byte {
	return message('P', append([]byte(name+"\x00"+sql+"\x00"), 0, 0)...)
}

// bindAndRun binds text values to the unnamed portal, executes it and syncs.
func bindAndRun(statement string, values ...string) []byte {
	body := append([]byte("\x00"+statement+"\x00"), 0, 0)
	body = binary.BigEndian.AppendUint16(body, uint16(len(values)))
	for _, v := range values {
		body = append(binary.BigEndian.AppendUint32(body, uint32(len(v))), v...)
	}
	b := message('B', append(body, 0, 0)...)
	b = append(b, message('E', 0, 0, 0, 0, 0)...)
	return append(b, message('S')...)
}
