package watchdog

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"time"

	"pgherd/vip/peer"
)

// proposeLimit is how long a leader works on the proposal of another member.
const proposeLimit = 5 * time.Second

// ErrNoLeader says that there is nobody who could decide: no majority is connected, or an election goes on.
var ErrNoLeader = errors.New("no leader is known")

// ErrRefused says that a command was decided, and that the Machine has refused it.
var ErrRefused = errors.New("refused")

// Propose returns once a command is decided, and applied here. After an error other than ErrRefused it may still be
// decided: who proposes it again has to see to it that it counts once.
func (w *Watchdog) Propose(ctx context.Context, command []byte) error {
	if len(command) > LongestCommand {
		return fmt.Errorf("propose: the command has %d bytes, and %d are allowed", len(command), LongestCommand)
	}
	_, leader := w.raft.LeaderWithID()
	switch {
	case leader == "":
		return fmt.Errorf("propose: %w", ErrNoLeader)
	case string(leader) == w.set.Member:
		return w.decide(ctx, command).err()
	}
	o, err := w.forward(ctx, string(leader), command)
	if err != nil {
		return fmt.Errorf("propose to leader %s: %w", leader, err)
	}
	if o.Index > 0 {
		err = w.applied.await(ctx, o.Index)
	}
	return errors.Join(err, o.err())
}

// outcome is what came of a proposal, as a leader tells it.
type outcome struct {
	Index   uint64 `json:"index"` // 0: it was not decided
	Refused string `json:"refused,omitempty"`
	Failed  string `json:"failed,omitempty"`
}

func (o outcome) err() error {
	switch {
	case o.Refused != "":
		return fmt.Errorf("%w: %s", ErrRefused, o.Refused)
	case o.Failed != "":
		return errors.New(o.Failed)
	}
	return nil
}

// decide is the leader's part.
func (w *Watchdog) decide(ctx context.Context, command []byte) (o outcome) {
	limit := proposeLimit
	if deadline, has := ctx.Deadline(); has {
		limit = min(limit, time.Until(deadline))
	}
	if limit <= 0 {
		return outcome{Failed: context.DeadlineExceeded.Error()}
	}
	future := w.raft.Apply(command, limit) // its limit is for the queue only
	done := make(chan error, 1)
	go func() { done <- future.Error() }()
	select {
	case err := <-done:
		if err != nil {
			return outcome{Failed: err.Error()}
		}
	case <-time.After(limit):
		return outcome{Failed: fmt.Sprintf("no majority has written it down within %v", limit)}
	}
	o.Index = future.Index()
	if refused, is := future.Response().(error); is {
		o.Refused = refused.Error()
	}
	return o
}

func (w *Watchdog) forward(ctx context.Context, leader string, command []byte) (o outcome, err error) {
	conn, err := w.dial(ctx, leader, proposals)
	if err != nil {
		return o, err
	}
	defer conn.Close()
	stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
	defer stop()
	_ = conn.SetDeadline(time.Now().Add(2 * proposeLimit))
	if err := peer.WriteFrame(conn, command); err != nil {
		return o, err
	}
	answer, err := peer.ReadFrame(conn, LongestCommand)
	if err != nil {
		return o, err
	}
	return o, json.Unmarshal(answer, &o)
}

// serveProposals decides what other members propose, one proposal a connection.
func (w *Watchdog) serveProposals() {
	w.serve(proposals, func(_ string, conn net.Conn) error {
		_ = conn.SetDeadline(time.Now().Add(2 * proposeLimit))
		command, err := peer.ReadFrame(conn, LongestCommand)
		if err != nil {
			return err
		}
		answer, err := json.Marshal(w.decide(w.ctx, command))
		if err != nil {
			return err
		}
		return peer.WriteFrame(conn, answer)
	})
}
