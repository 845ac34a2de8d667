// Package patroni runs pgherd beside the real Patroni: three nodes, of which Patroni promotes one after another, and etcd,
// all on 127.0.0.1. What clients of pgherd see is compared with what is on the nodes afterwards. kernel-tests/failover
// has scenarios with a stand-in for Patroni's REST API, which can answer what a real one answers seldom.
//
// The scenarios run one after the other on the same nodes, and each begins when all nodes are well. Waits have generous
// deadlines, and none is a measurement.
package patroni

import (
	"testing"

	"pgherd/bench/herd"
)

var binary string

// scenario is what happens to a cluster.
type scenario struct {
	name string
	run  func(*testing.T, *cluster)
}

func TestHTTP(t *testing.T) {
	play(t, startCluster(t, false), []scenario{
		{"roles", roles},
		{"switchover", switchover},
		{"the leader is killed", leaderIsKilled},
		{"the leader restarts", leaderRestarts},
		{"no REST API answers", silent},
		{"paused", paused},
		{"no DCS", withoutDCS},
		{"no DCS, and failsafe_mode", failsafe},
	})
}

// TestHTTPS: the REST APIs ask everybody for a certificate (verify_client: required).
func TestHTTPS(t *testing.T) {
	play(t, startCluster(t, true), []scenario{{"roles", roles}, {"switchover", switchover}})
}

func play(t *testing.T, c *cluster, all []scenario) {
	t.Helper()
	var err error
	if binary, err = herd.Build(t.Context(), t.TempDir()); err != nil {
		t.Fatal(err)
	}
	for _, s := range all {
		if !t.Run(s.name, func(t *testing.T) { s.run(t, c) }) {
			return // the nodes may not be well
		}
	}
}
