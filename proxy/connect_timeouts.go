package proxy

import (
	"encoding/binary"
	"fmt"
	"io"

	"pgherd/proxy/pool"
	"pgherd/proxy/wire"
	"pgherd/proxy/worker"
)

// timeoutsSQL asks for what pgherd has to apply itself while a client has no server.
// What a PostgreSQL does not have is NULL.
const timeoutsSQL = "SELECT pg_catalog.current_setting('" + pool.IdleSessionTimeout + "', true), pg_catalog.current_setting('" +
	pool.IdleInTransactionTimeout + "', true), pg_catalog.current_setting('" + pool.TransactionTimeout + "', true)"

// learnTimeouts asks a server that has just logged in for its timeouts, and takes away
// the one that would end it while nobody has it. Sessions bring that back.
func learnTimeouts(conn io.ReadWriter, o *worker.Opened) error {
	values, err := askRow(conn, timeoutsSQL)
	if err != nil || len(values) != 3 {
		return err
	}
	t := &o.Timeouts
	t.IdleSession, t.IdleInTransaction, t.Transaction = pool.Timeout(values[0]), pool.Timeout(values[1]), pool.Timeout(values[2])
	if t.IdleSession == 0 {
		return nil
	}
	_, err = askRow(conn, pool.QuietSQL)
	o.Settings = o.Settings.Quiet()
	return err
}

// answerLimit bounds the messages of the answer, in bytes.
const answerLimit = 30_000

// askRow asks and returns the last row; none if there is none, or the server says that
// it cannot. It reads no byte behind the answer.
func askRow(conn io.ReadWriter, sql string) (row []string, err error) {
	if _, err := conn.Write(wire.AppendQuery(nil, sql)); err != nil {
		return nil, fmt.Errorf("ask server: %w", err)
	}
	for {
		var header [wire.HeaderLen]byte
		if _, err := io.ReadFull(conn, header[:]); err != nil {
			return nil, fmt.Errorf("read answer: %w", err)
		}
		n := int(int32(binary.BigEndian.Uint32(header[1:]))) - 4
		if n < 0 || n > answerLimit {
			return nil, fmt.Errorf("read answer: a message of %d bytes", n)
		}
		body := make([]byte, n)
		if _, err := io.ReadFull(conn, body); err != nil {
			return nil, fmt.Errorf("read answer: %w", err)
		}
		switch wire.ReplyKind(header[0]) {
		case wire.ReadyForQuery:
			return row, nil
		case wire.DataRow:
			v, err := wire.ViewDataRow(body)
			if err != nil {
				return nil, fmt.Errorf("read answer: %w", err)
			}
			row = nil
			for value := range v.Values.All() {
				row = append(row, string(value))
			}
		}
	}
}
