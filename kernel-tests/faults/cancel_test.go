package faults_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"pgherd/bench/herd"
)

const (
	cancelServers = 6
	cancelVictims = 6 // number of clients that ask, and never cancel
	cancelSelves  = 6 // number of clients that cancel their own queries, at any moment
	cancelFor     = 4 * time.Second
)

// TestCancelHammer has many clients that share few servers, and of which some cancel. No query is ever canceled whose
// client has not asked for it (I10).
func TestCancelHammer(t *testing.T) {
	engines(t, func(t *testing.T, engine string) {
		proxy := startProxy(t, herd.ProxySettings{HBA: trustHBA,
			Config: fmt.Sprintf("max_node_connections = %d\nworkers = 2\nio_engine = %s", cancelServers, engine)})
		var h hammer
		h.proxy, h.until = proxy, time.Now().Add(cancelFor)
		err := each(cancelVictims+cancelSelves, cancelVictims+cancelSelves, func(i int) error {
			if i < cancelVictims {
				return h.victim(i)
			}
			return h.self(i)
		})
		if err != nil {
			t.Error(err)
		}
		t.Logf("%d answers to bystanders; of %d cancels of own queries %d were in time", h.answers.Load(), h.cancels.Load(), h.hits.Load())
		if h.hits.Load() == 0 || h.answers.Load() == 0 {
			t.Error("no cancel was in time, so nothing was tested")
		}
		allIdle(t, proxy)
		settled(t, proxy)
	})
}

type hammer struct {
	proxy                  *herd.Proxy
	until                  time.Time
	answers, cancels, hits atomic.Int64
}

// victim sends short queries, each on a new connection. Meanwhile cancel requests with its number and a wrong key are
// sent.
func (h *hammer) victim(i int) error {
	for n := 0; time.Now().Before(h.until); n++ {
		version := []uint32{protocol30, protocol32}[n%2]
		conn, key, err := rawStart(h.proxy, version)
		if err != nil {
			return err
		}
		for range 1 + rand.IntN(5) {
			want := fmt.Sprintf("%d/%d", i, rand.Uint64())
			wrong := make(chan error, 1)
			go func() { wrong <- wrongKey(key).send(h.proxy) }()
			got, err := rawAsk(conn, fmt.Sprintf("SELECT '%s' FROM pg_sleep(%f)", want, rand.Float64()/100))
			if err := errors.Join(err, <-wrong); err != nil {
				return fmt.Errorf("bystander: %w", err)
			}
			if got != want {
				return fmt.Errorf("%w: %q, want %q", errWrong, got, want)
			}
			h.answers.Add(1)
		}
		if _, err := conn.Write(message('X')); err != nil {
			return err
		}
		conn.Close()
	}
	return nil
}

// wrongKey returns a wrong key, which is like the right one, or has the number of another client.
func wrongKey(k cancelKey) cancelKey {
	key := slices.Clone(k.key)
	switch rand.IntN(4) {
	case 0:
		key[rand.IntN(len(key))] ^= 1 << rand.IntN(8)
	case 1:
		key = append(key, 0)
	case 2:
		return cancelKey{k.pid + uint32(rand.IntN(5)) + 1, key}
	default:
		clear(key)
	}
	return cancelKey{k.pid, key}
}

// self sends cancels with its right key: while its query runs, when that has ended, and when the client has left.
func (h *hammer) self(i int) error {
	for n := i; time.Now().Before(h.until); n++ {
		version := []uint32{protocol30, protocol32}[n%2]
		conn, key, err := rawStart(h.proxy, version)
		if err != nil {
			return err
		}
		canceled := make(chan error, 1)
		go func() {
			time.Sleep(rand.N(15 * time.Millisecond))
			canceled <- key.send(h.proxy)
		}()
		_, err = rawAsk(conn, fmt.Sprintf("SELECT pg_sleep(%f)", rand.Float64()/100))
		if sqlstate(err) == "57014" {
			h.hits.Add(1)
		} else if err != nil {
			return fmt.Errorf("canceller: %w", err)
		}
		vanish(conn, n%3 == 0) // its cancel may be on its way, and the server must wait for it
		if err := <-canceled; err != nil {
			return err
		}
		h.cancels.Add(1)
	}
	return nil
}

// TestCancelByEitherKey checks that the keys of protocol 3.0 and 3.2 have the lengths of these versions, and that both
// cancel.
func TestCancelByEitherKey(t *testing.T) {
	engines(t, func(t *testing.T, engine string) {
		proxy := trusting(t, engine)
		for version, size := range map[uint32][2]int{protocol30: {4, 4}, protocol32: {5, 256}} {
			conn, key, err := rawStart(proxy, version)
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			if n := len(key.key); n < size[0] || n > size[1] {
				t.Errorf("protocol %x: the key has %d bytes", version, n)
			}
			canceled := make(chan error, 1)
			go func() {
				time.Sleep(100 * time.Millisecond)
				canceled <- errors.Join(wrongKey(key).send(proxy), key.send(proxy))
			}()
			_, err = rawAsk(conn, "SELECT pg_sleep(120)")
			wantState(t, err, "57014")
			if err := <-canceled; err != nil {
				t.Error(err)
			}
			if got, err := rawAsk(conn, "SELECT 'usable'"); err != nil || got != "usable" {
				t.Errorf("after the cancel: got %q, error %v", got, err)
			}
		}
	})
}
