package worker

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"pgherd/proxy/pool"
	"pgherd/proxy/wire"
)

// simEnds are the places at which servers have ended, as "after the request Query" or "before the reply DataRow".
type simEnds map[string]bool

// place is one of them, and how many bytes of its last replies a server tells before it ends there.
type place struct {
	name string
	told int
}

// places are those at which a server may end that has handled this request last, and is about to send these replies.
func places(request wire.Kind, replies []byte) (all []place) {
	all = []place{{fmt.Sprint("after the request ", request), 0}}
	for cut, at := wire.CutReplies(), 0; at < len(replies); {
		m, _, err := cut.Next(replies[at:])
		if err != nil {
			break
		}
		next := at + len(m.Bytes)
		for side, told := range map[string]int{"before": at, "within": (at + next) / 2, "after": next} {
			all = append(all, place{fmt.Sprint(side, " the reply ", m.Kind), told})
		}
		at = next
	}
	slices.SortFunc(all, func(a, b place) int { return strings.Compare(a.name, b.name) })
	return all
}

// lacks is a place at which no server has ended yet, and one may end now.
func (e simEnds) lacks(request wire.Kind, replies []byte) (place, bool) {
	if e == nil {
		return place{}, false
	}
	all := places(request, replies)
	if i := slices.IndexFunc(all, func(p place) bool { return !e[p.name] }); i >= 0 {
		return all[i], true
	}
	return place{}, false
}

// The messages of the simulation, after each of which, and before and within each reply, servers have to end.
var (
	simRequests = []wire.Kind{wire.Bind, wire.Close, wire.CopyData, wire.CopyDone, wire.CopyFail, wire.Describe, wire.Execute,
		wire.Flush, wire.FunctionCall, wire.Parse, wire.Query, wire.Sync}
	simReplies = []wire.Kind{wire.BindComplete, wire.CloseComplete, wire.CommandComplete, wire.CopyInResponse, wire.CopyOutResponse,
		wire.CopyRow, wire.CopyEnd, wire.DataRow, wire.ErrorResponse, wire.FunctionCallResponse, wire.NoData, wire.NoticeResponse,
		wire.ParameterDescription, wire.ParameterStatus, wire.ParseComplete, wire.ReadyForQuery, wire.RowDescription}
)

// mostSimEnds limits how many seeds are played until servers have ended everywhere.
const mostSimEnds = 5000

// TestSimulatedServersEndEverywhere has servers end at every boundary between two messages, and within each, in each pool mode,
// and makes the checks of TestSimulation, where chance alone hardly comes to the rare ones.
func TestSimulatedServersEndEverywhere(t *testing.T) {
	only := *simOnly
	*simOnly = "failover"
	defer func() { *simOnly = only }()
	where := map[pool.Mode]simEnds{pool.Session: {}, pool.Transaction: {}, pool.Statement: {}}
	lack := func() (missing []string) {
		for mode, seen := range where {
			for _, at := range everywhere(seen) {
				missing = append(missing, fmt.Sprintf("in mode %v no server has ended %s", mode, at))
			}
		}
		return missing
	}
	seed := uint64(1)
	for ; seed <= mostSimEnds && len(lack()) > 0; seed++ {
		s := newSim(seed)
		s.herd.ends = where[s.mode]
		if err := s.run(); err != nil {
			t.Fatalf("seed %d, after those before it: %v", seed, err)
		}
	}
	t.Logf("%d seeds", seed-1)
	for _, missing := range lack() {
		t.Error(missing)
	}
}

// everywhere are the places at which no server has ended.
func everywhere(seen simEnds) (missing []string) {
	for _, request := range simRequests {
		if place := fmt.Sprint("after the request ", request); !seen[place] {
			missing = append(missing, place)
		}
	}
	for _, reply := range simReplies {
		for _, side := range []string{"before", "within", "after"} {
			if place := fmt.Sprint(side, " the reply ", reply); !seen[place] {
				missing = append(missing, place)
			}
		}
	}
	return missing
}
