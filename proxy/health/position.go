package health

import (
	"context"
	"errors"
	"strconv"

	"pgherd/proxy/nodes"
	"pgherd/proxy/nodesql"
)

// positionSQL asks for what a standby has replayed, or up to where a primary has
// inserted. The position of a commit that did not wait for its record to be written is
// below that.
const positionSQL = "SELECT pg_is_in_recovery(), CASE WHEN pg_is_in_recovery() " +
	"THEN pg_last_wal_replay_lsn() ELSE pg_current_wal_insert_lsn() END - '0/0'::pg_lsn, " +
	"current_setting('wal_block_size'), pg_size_bytes(current_setting('wal_segment_size'))"

// askPosition is a node's role and position; 0: nothing was replayed yet.
func askPosition(ctx context.Context, conn *nodesql.Conn) (role nodes.Role, lsn uint64, err error) {
	rows, err := conn.Rows(ctx, positionSQL)
	if err == nil && len(rows) != 1 {
		err = errors.New("no answer")
	}
	if err != nil {
		return nodes.Unknown, 0, err
	}
	var numbers [3]uint64
	for i, text := range rows[0][1:] {
		numbers[i], _ = strconv.ParseUint(text, 10, 64) // the position may be NULL
	}
	if rows[0][0] == "t" {
		return nodes.Standby, numbers[0], nil
	}
	return nodes.Primary, recordsEnd(numbers[0], numbers[1], numbers[2]), nil
}

// Lengths of the headers of a segment and of a page of WAL (xlog_internal.h).
const (
	segmentHeader = 40
	pageHeader    = 24
)

// recordsEnd is the end of what was inserted before lsn. If that fills a page,
// PostgreSQL returns the place after the next page's header, which no standby has
// replayed before another record comes.
func recordsEnd(lsn, page, segment uint64) uint64 {
	switch {
	case page == 0 || segment == 0:
		return lsn
	case lsn%segment == segmentHeader:
		return lsn - segmentHeader
	case lsn%page == pageHeader:
		return lsn - pageHeader
	}
	return lsn
}
