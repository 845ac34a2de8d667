package connect

import (
	"errors"
	"fmt"
	"io"

	"pgherd/proxy/auth"
	"pgherd/proxy/wire"
)

// answerMessages limits the messages with which a node may answer pgherd's question.
const answerMessages = 100

// askOnce sends a query and reads exactly to the end of the answer. There are no rows
// if the node reports an error.
func askOnce(conn io.ReadWriter, sql string) (rows [][]string, err error) {
	if _, err := conn.Write(wire.AppendQuery(nil, sql)); err != nil {
		return nil, fmt.Errorf("write Query: %w", err)
	}
	failed := false
	for range answerMessages {
		kind, body, err := auth.ReadReply(conn)
		switch {
		case err != nil:
			return nil, err
		case kind == wire.ErrorResponse:
			failed = true
		case kind == wire.ReadyForQuery && failed:
			return nil, nil
		case kind == wire.ReadyForQuery:
			return rows, nil
		case kind == wire.DataRow:
			row, err := wire.ViewDataRow(body)
			if err != nil {
				return nil, fmt.Errorf("read DataRow: %w", err)
			}
			var values []string
			for value := range row.Values.All() {
				values = append(values, string(value))
			}
			rows = append(rows, values)
		}
	}
	return nil, errors.New("read answer: too many messages")
}
