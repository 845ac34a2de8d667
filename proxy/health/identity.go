package health

import (
	"context"
	"strconv"

	"pgherd/proxy/nodes"
	"pgherd/proxy/nodesql"
)

// Questions for what every user may see, unless the right was revoked. The control
// file of a primary still tells the timeline before its promotion, up to the next
// checkpoint; the name of the file that it writes does not. A standby follows the
// latest that any of these columns tells; the control file lags behind what it receives.
const (
	systemSQL         = "SELECT system_identifier FROM pg_control_system()"
	writtenTimeline   = "SELECT ('x' || substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8))::bit(32)::bigint"
	followedTimelines = "SELECT greatest((SELECT timeline_id FROM pg_control_checkpoint()), (SELECT min_recovery_end_timeline FROM pg_control_recovery()), (SELECT received_tli FROM pg_stat_wal_receiver))"
)

// askIdentity: what a user may not see, or PostgreSQL does not have, stays 0. What
// fails otherwise is an error: a node that is in quarantine stays there.
func askIdentity(ctx context.Context, conn *nodesql.Conn, role nodes.Role) (Identity, error) {
	system, err := askNumber(ctx, conn, systemSQL)
	if err != nil {
		return Identity{}, err
	}
	sql := followedTimelines
	if role == nodes.Primary {
		sql = writtenTimeline
	}
	timeline, err := askNumber(ctx, conn, sql)
	return Identity{Role: role, System: system, Timeline: uint32(timeline)}, err
}

func askNumber(ctx context.Context, conn *nodesql.Conn, sql string) (uint64, error) {
	rows, err := conn.Rows(ctx, sql)
	if notToBeSeen[nodesql.Code(err)] {
		return 0, nil
	}
	if err != nil || len(rows) != 1 {
		return 0, err
	}
	n, err := strconv.ParseInt(rows[0][0], 10, 64)
	return uint64(n), err
}

// notToBeSeen are insufficient_privilege, undefined_function and feature_not_supported.
var notToBeSeen = map[string]bool{"42501": true, "42883": true, "0A000": true}

// after is what a node is, by what it says now and said before. A standby that receives nothing does
// not tell the timeline that it has received, so what it told before counts. One that streams tells it, and
// that is an older one if the node was made a copy of a node that is on it.
func (i Identity) after(before Identity, streams bool) Identity {
	if i.Role == nodes.Standby && i.System == before.System && !streams {
		i.Timeline = max(i.Timeline, before.Timeline)
	}
	return i
}
