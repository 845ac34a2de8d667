package prepared_test

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"net"
	"time"

	"github.com/jackc/pgx/v5/pgproto3"

	"pgherd/bench/herd"
)

// answerLimit is the deadline of one step's answers.
const answerLimit = 30 * time.Second

// talk is one connection.
type talk struct {
	conn   net.Conn
	wire   *pgproto3.Frontend
	status byte // the status in the last ReadyForQuery
}

// answer is what arrives up to a ReadyForQuery.
type answer struct {
	parameters, columns int    // number of descriptions of each
	parameter, column   uint32 // the type of the first one in the description; 0 if there is none
	code                string // SQLSTATE of the error; "" if there is none
	message             string
	values              [][]byte
}

func open(address string) (*talk, error) {
	conn, err := net.DialTimeout("tcp", address, answerLimit)
	if err != nil {
		return nil, err
	}
	t := &talk{conn: conn, wire: pgproto3.NewFrontend(conn, conn)}
	a, err := t.say(&pgproto3.StartupMessage{ProtocolVersion: pgproto3.ProtocolVersionNumber,
		Parameters: map[string]string{"user": herd.Superuser, "database": herd.Database}})
	if err != nil || a.code != "" {
		t.close()
		return nil, fmt.Errorf("log in: %w, %s", err, a.message)
	}
	return t, nil
}

// say sends messages, and reads up to the next ReadyForQuery.
func (t *talk) say(messages ...pgproto3.FrontendMessage) (a answer, err error) {
	for _, m := range messages {
		t.wire.Send(m)
	}
	if err := errors.Join(t.conn.SetDeadline(time.Now().Add(answerLimit)), t.wire.Flush()); err != nil {
		return a, err
	}
	for {
		message, err := t.wire.Receive()
		if err != nil {
			return a, err
		}
		switch m := message.(type) {
		case *pgproto3.ParameterDescription:
			if a.parameters++; len(m.ParameterOIDs) > 0 {
				a.parameter = m.ParameterOIDs[0]
			}
		case *pgproto3.RowDescription:
			a.columns++
			a.column = m.Fields[0].DataTypeOID
		case *pgproto3.NoData:
			a.columns++
		case *pgproto3.DataRow:
			a.values = append(a.values, append([]byte(nil), m.Values[0]...))
		case *pgproto3.ErrorResponse:
			a.code, a.message = m.Code, m.Message
		case *pgproto3.ReadyForQuery:
			t.status = m.TxStatus
			return a, nil
		}
	}
}

// query runs a simple query that must not fail.
func (t *talk) query(sql string) error {
	a, err := t.say(&pgproto3.Query{String: sql})
	if err == nil && a.code != "" {
		err = fmt.Errorf("%s: %s %s", sql, a.code, a.message)
	}
	return err
}

func (t *talk) close() { t.conn.Close() }

// oids are the OIDs of the types.
var oids = map[string]uint32{"int4": 23, "int8": 20, "float4": 700, "text": 25}

// binaryOne is the number one as a value of a type.
func binaryOne(oid uint32) []byte {
	switch oid {
	case oids["int4"]:
		return binary.BigEndian.AppendUint32(nil, 1)
	case oids["int8"]:
		return binary.BigEndian.AppendUint64(nil, 1)
	case oids["float4"]:
		return binary.BigEndian.AppendUint32(nil, math.Float32bits(1))
	}
	return []byte("1")
}
