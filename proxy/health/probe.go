package health

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"

	"pgherd/proxy/nodes"
	"pgherd/proxy/nodesql"
)

// Access is how the probes log in.
type Access = nodesql.Access

// SQL asks PostgreSQL itself, over a connection to each node that it keeps. A connect
// alone would not do: the kernel accepts for a server that hangs.
type SQL struct {
	access func(node int) []Access
	lock   sync.Mutex // over what follows; never held while asking
	kept   map[int]*nodesql.Conn
}

// NewSQL makes one that logs in to each node like this: the first that the node does not refuse.
func NewSQL(access func(node int) []Access) *SQL {
	return &SQL{access: access, kept: map[int]*nodesql.Conn{}}
}

// Probe asks a node. One goroutine at a time asks a node. A kept connection that turns out
// to be broken says nothing: the node may have been restarted, so it is asked over another.
func (s *SQL) Probe(ctx context.Context, n *nodes.Node) (Finding, error) {
	var ended error
	conn := s.take(n.Index)
	if conn != nil {
		f, err := inquire(ctx, conn)
		if err == nil {
			s.keep(n.Index, conn)
			return f, nil
		}
		conn.Close()
		if code := nodesql.Code(err); ctx.Err() != nil || code != "" && code != "57P01" {
			return Finding{}, fmt.Errorf("ask node %d: %w", n.Index, err)
		}
		if nodesql.ToldToEnd(err) {
			ended = err
		}
	}
	conn, err := s.dial(ctx, n)
	if err != nil {
		return Finding{}, fmt.Errorf("connect to node %d: %w", n.Index, errors.Join(err, ended))
	}
	f, err := inquire(ctx, conn)
	if err != nil {
		conn.Close()
		return Finding{}, fmt.Errorf("ask node %d: %w", n.Index, err)
	}
	s.keep(n.Index, conn)
	return f, nil
}

// dial logs in. A user whom the node refuses (class 28) says nothing of the node.
func (s *SQL) dial(ctx context.Context, n *nodes.Node) (conn *nodesql.Conn, err error) {
	for _, a := range s.access(n.Index) {
		if conn, err = nodesql.Dial(ctx, a, n); !nodesql.Refused(err) {
			return conn, err
		}
	}
	return nil, err
}

func (s *SQL) take(node int) *nodesql.Conn {
	s.lock.Lock()
	defer s.lock.Unlock()
	conn := s.kept[node]
	delete(s.kept, node)
	return conn
}

func (s *SQL) keep(node int, conn *nodesql.Conn) {
	s.lock.Lock()
	defer s.lock.Unlock()
	s.kept[node] = conn
}

// Close ends the connections that are kept.
func (s *SQL) Close() {
	s.lock.Lock()
	defer s.lock.Unlock()
	for node, conn := range s.kept {
		conn.Close()
		delete(s.kept, node)
	}
}

// inquire asks all that a Finding tells.
func inquire(ctx context.Context, conn *nodesql.Conn) (f Finding, err error) {
	f = Finding{Reachable: true, Connected: conn.Began, Standbys: map[string]Standby{}}
	if f.Role, f.LSN, err = askPosition(ctx, conn); err != nil {
		return Finding{}, err
	}
	if f.Last, err = askIdentity(ctx, conn, f.Role); err != nil {
		return Finding{}, err
	}
	if f.Role == nodes.Primary {
		askStandbys(ctx, conn, &f)
		// Its position is no older than who was connected: see failover.Sight.
		f.Role, f.LSN, err = askPosition(ctx, conn)
		return f, err
	}
	return f, askReceiver(ctx, conn, &f)
}

// ownName are the settings from which a node takes the name by which it receives. Only members of
// pg_read_all_settings, as pg_monitor is one, may see primary_conninfo.
const ownName = "CASE WHEN pg_has_role('pg_read_all_settings', 'USAGE') THEN current_setting('primary_conninfo') ELSE '' END, current_setting('cluster_name')"

// nameOf is that name; "" if neither setting has one.
func nameOf(conninfo, cluster string) string {
	return cmp.Or(nodesql.ParseConninfo(conninfo).Get("application_name"), cluster)
}

// askStandbys reads what a primary says of its standbys. A user who may not
// see it gets empty columns; that is no fault of the node's.
func askStandbys(ctx context.Context, conn *nodesql.Conn, f *Finding) {
	rows, err := conn.Rows(ctx, "SELECT application_name, host(client_addr), state, sync_state, "+
		"(extract(epoch FROM replay_lag) * 1000000)::bigint FROM pg_stat_replication")
	if err != nil {
		return
	}
	if row, err := conn.Row(ctx, "SELECT current_setting('synchronous_standby_names'), "+ownName); err == nil {
		f.Synchronous, f.Receiver.Name = row[0], nameOf(row[1], row[2])
	}
	for _, row := range rows {
		if f.Streaming = append(f.Streaming, row[0]); strings.EqualFold(row[0], f.Receiver.Name) {
			f.Receiver.Name = "" // it is another's
		}
		lag, _ := strconv.ParseInt(row[4], 10, 64) // NULL: it has caught up, or says nothing
		for _, name := range row[:2] {
			f.Standbys[name] = Standby{State: row[2], SyncState: row[3], Delay: time.Duration(max(0, lag)) * time.Microsecond}
		}
	}
}

// askReceiver reads whom a standby is told to receive from, and whether it does. Who may
// not see that, or has received nothing yet, gets empty columns.
func askReceiver(ctx context.Context, conn *nodesql.Conn, f *Finding) error {
	rows, err := conn.Rows(ctx, "SELECT coalesce(pg_last_wal_receive_lsn() - '0/0'::pg_lsn, 0), coalesce(w.status = 'streaming', w.pid IS NOT NULL), w.sender_host, w.sender_port, "+
		ownName+" FROM (VALUES (1)) AS one LEFT JOIN pg_stat_wal_receiver w ON true")
	if err != nil || len(rows) != 1 {
		return err
	}
	row := rows[0]
	received, _ := strconv.ParseUint(row[0], 10, 64)
	f.Received = max(received, f.LSN) // what comes from an archive is not received
	f.Receiver = Receiver{Streaming: row[1] == "t", Host: row[2], Conninfo: row[4]}
	f.Receiver.Name = cmp.Or(nameOf(row[4], row[5]), "walreceiver")
	f.Receiver.Port, _ = strconv.Atoi(row[3])
	return nil
}
