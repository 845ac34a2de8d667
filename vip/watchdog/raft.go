package watchdog

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"time"
	"unicode"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/raft"

	"pgherd/vip/peer"
)

// Settings of raft that are not the operator's.
const (
	commitTimeout     = 10 * time.Millisecond // before followers are told of what is decided, without a heartbeat
	snapshotEvery     = time.Minute           // at most
	snapshotAfter     = 1024                  // commands
	keptAfterSnapshot = 256                   // commands, for members that were away for a short time
	connectionsKept   = 2                     // to each member
	requestLimit      = 2 * time.Second       // for a member to answer raft
)

func (w *Watchdog) start() error {
	log := w.raftLog()
	config := raft.DefaultConfig()
	config.LocalID = raft.ServerID(w.set.Member)
	config.HeartbeatTimeout, config.ElectionTimeout, config.LeaderLeaseTimeout = w.set.ElectionTimeout, w.set.ElectionTimeout, w.set.ElectionTimeout
	config.CommitTimeout = commitTimeout
	config.SnapshotInterval, config.SnapshotThreshold, config.TrailingLogs = snapshotEvery, snapshotAfter, keptAfterSnapshot
	config.NotifyCh, config.Logger, config.NoLegacyTelemetry = w.changes, log, true

	snapshots, err := raft.NewFileSnapshotStoreWithLogger(w.set.Directory, 2, log)
	if err != nil {
		return err
	}
	var all raft.Configuration
	for _, m := range w.set.Members {
		all.Servers = append(all.Servers, raft.Server{ID: raft.ServerID(m), Address: raft.ServerAddress(m)})
	}
	transport := raft.NewNetworkTransportWithConfig(&raft.NetworkTransportConfig{
		Stream: stream{w.set.Network.Accept(replication), w}, MaxPool: connectionsKept, Timeout: requestLimit, Logger: log})
	if known, err := raft.HasExistingState(w.store, w.store, snapshots); err != nil {
		return errors.Join(err, transport.Close())
	} else if !known {
		if err := raft.BootstrapCluster(config, w.store, w.store, snapshots, transport, all); err != nil {
			return errors.Join(err, transport.Close())
		}
	}
	if err := w.store.writable(); err != nil {
		return errors.Join(err, transport.Close())
	}
	if w.raft, err = raft.NewRaft(config, w.applied, w.store, w.lasting(), snapshots, transport); err != nil {
		return errors.Join(err, transport.Close())
	}
	w.observer = raft.NewObserver(w.elected, false, func(o *raft.Observation) bool {
		_, elected := o.Data.(raft.LeaderObservation)
		return elected
	})
	w.raft.RegisterObserver(w.observer)
	return nil
}

func (w *Watchdog) lasting() *lasting {
	l := &lasting{w.store, w.set.Log, w.store.Set, w.ctx.Done(), writeAgain}
	if w.set.write != nil {
		l.write = func(key, value []byte) error { return w.set.write(w.store, key, value) }
	}
	return l
}

// stream has raft's connections made by package peer. Its addresses are members' names.
type stream struct {
	net.Listener
	w *Watchdog
}

func (s stream) Dial(member raft.ServerAddress, limit time.Duration) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(s.w.ctx, limit)
	defer cancel()
	return s.w.dial(ctx, string(member), replication)
}

func (w *Watchdog) dial(ctx context.Context, member string, p peer.Purpose) (net.Conn, error) {
	conn, err := w.set.Network.Dial(ctx, member, p)
	if err != nil {
		if w.ctx.Err() == nil {
			w.lost.Store(member, true)
		}
		return nil, err
	}
	if _, was := w.lost.LoadAndDelete(member); was && w.told.Due("heard again "+member, time.Now()) {
		w.set.Log.Info("watchdog: a member is heard again", "member", member)
	}
	return conn, nil
}

// applied passes commands to the Machine, and knows how far that has come.
type applied struct {
	machine Machine
	mu      sync.Mutex
	index   uint64
	more    chan struct{} // closed when index grows
}

func newApplied(m Machine) *applied { return &applied{machine: m, more: make(chan struct{})} }

// Apply is called by raft, for each command.
func (a *applied) Apply(l *raft.Log) any {
	err := a.machine.Apply(l.Data)
	a.reached(l.Index)
	return err
}

func (a *applied) reached(index uint64) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.index = max(a.index, index)
	close(a.more)
	a.more = make(chan struct{})
}

// await returns once a command is applied here, by itself or as a part of a snapshot.
func (a *applied) await(ctx context.Context, index uint64) error {
	ctx, cancel := context.WithTimeout(ctx, proposeLimit)
	defer cancel()
	for {
		a.mu.Lock()
		reached, more := a.index >= index, a.more
		a.mu.Unlock()
		if reached {
			return nil
		}
		select {
		case <-more:
		case <-ctx.Done():
			return fmt.Errorf("apply what was decided: %w", ctx.Err())
		}
	}
}

// Snapshot is the state of the Machine, with how far it has come.
func (a *applied) Snapshot() (raft.FSMSnapshot, error) {
	a.mu.Lock()
	index := a.index
	a.mu.Unlock()
	state := append(binary.BigEndian.AppendUint64(nil, index), a.machine.Snapshot()...)
	if len(state) > longestState {
		return nil, fmt.Errorf("make a snapshot: the state has %d bytes, and %d are allowed", len(state), longestState)
	}
	return snapshot(state), nil
}

func (a *applied) Restore(r io.ReadCloser) error {
	defer r.Close()
	state, err := io.ReadAll(io.LimitReader(r, longestState+checksumBytes))
	if err != nil {
		return err
	}
	if state, err = unseal(state); err != nil {
		return fmt.Errorf("read a snapshot: %w", err)
	}
	if len(state) < indexBytes {
		return fmt.Errorf("read a snapshot: it has %d bytes only", len(state))
	}
	if err := a.machine.Restore(state[indexBytes:]); err != nil {
		return err
	}
	a.reached(binary.BigEndian.Uint64(state))
	return nil
}

// Sizes of what stands before the state in a snapshot.
const indexBytes, checksumBytes = 8, 4

// snapshot is the state of a Machine at one moment.
type snapshot []byte

func (s snapshot) Persist(sink raft.SnapshotSink) error {
	if _, err := sink.Write(seal(s)); err != nil {
		return errors.Join(err, sink.Cancel())
	}
	return sink.Close()
}

func (s snapshot) Release() {}

// raftLog is where raft logs. What concerns operators is told by the Watchdog itself.
func (w *Watchdog) raftLog() hclog.Logger {
	l := hclog.NewInterceptLogger(&hclog.LoggerOptions{Name: "raft", Output: io.Discard, Level: hclog.Error})
	l.RegisterSink(sink{w})
	return l
}

type sink struct{ w *Watchdog }

func (s sink) Accept(name string, level hclog.Level, text string, args ...any) {
	if level < hclog.Error {
		s.w.set.Log.Debug("watchdog: "+text, args...)
		return
	}
	if s.w.told.Due(text+aboutWhom(args), time.Now()) {
		s.w.set.Log.Warn("watchdog: "+text, args...)
	}
}

// aboutWhom is the member that raft logs something about, under the names that raft has for it, and the innermost reason, so that
// another one is told at once. Numbers in it vary from try to try.
func aboutWhom(args []any) (about string) {
	for i := 0; i+1 < len(args); i += 2 {
		switch args[i] {
		case "peer", "target":
			about += fmt.Sprint(" ", args[i+1])
		case "error":
			reasons := strings.Split(fmt.Sprint(args[i+1]), ": ")
			about += " " + strings.TrimFunc(reasons[len(reasons)-1], unicode.IsDigit)
		}
	}
	return about
}
