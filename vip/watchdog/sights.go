package watchdog

import (
	"context"
	"net"
	"time"

	"pgherd/vip/peer"
)

// Limits of what members tell the leader.
const (
	longestSight = 64 << 10               // in bytes
	tellAgain    = 100 * time.Millisecond // after a leader could not be told
	tellLimit    = time.Second            // for a leader to take a sight
	mostServed   = 64                     // connections of one purpose at once
)

// Tell has the leader know what this member sees. It does not block; only the latest is told, to each new leader again.
func (w *Watchdog) Tell(told []byte) {
	for {
		select {
		case w.telling <- told:
			return
		default:
		}
		select {
		case <-w.telling: // an older one
		default:
		}
	}
}

// tell keeps a connection to the leader.
func (w *Watchdog) tell() {
	var latest []byte
	var conn net.Conn
	var to string
	part := func() {
		if conn != nil {
			_ = conn.Close()
		}
		conn = nil
	}
	defer part()
	look := time.NewTicker(tellAgain)
	defer look.Stop()
	pending := false
	for {
		select {
		case latest = <-w.telling:
			pending = true
		case <-look.C:
		case <-w.ctx.Done():
			return
		}
		if _, leader := w.raft.LeaderWithID(); string(leader) != to {
			part()
			to, pending = string(leader), latest != nil
		}
		if !pending || to == "" {
			continue
		}
		if to == w.set.Member {
			w.set.Machine.Sight(to, latest)
			pending = false
			continue
		}
		if conn == nil {
			conn, _ = w.dial(w.ctx, to, sights) // the next look tries again
		}
		if conn != nil && w.send(conn, latest) == nil {
			pending = false
		} else {
			part()
		}
	}
}

func (w *Watchdog) send(conn net.Conn, told []byte) error {
	_ = conn.SetWriteDeadline(time.Now().Add(tellLimit))
	return peer.WriteFrame(conn, told)
}

// serveSights takes what other members tell, one after the other.
func (w *Watchdog) serveSights() {
	w.serve(sights, func(member string, conn net.Conn) error {
		for {
			told, err := peer.ReadFrame(conn, longestSight)
			if err != nil {
				return err
			}
			w.set.Machine.Sight(member, told)
		}
	})
}

// serve accepts connections of one purpose, each on a goroutine of its own, until the Watchdog is closed.
func (w *Watchdog) serve(p peer.Purpose, each func(member string, conn net.Conn) error) {
	l := w.set.Network.Accept(p)
	stop := context.AfterFunc(w.ctx, func() { _ = l.Close() })
	defer stop()
	slots := make(chan struct{}, mostServed)
	for {
		conn, err := l.Accept()
		if err != nil {
			return
		}
		slots <- struct{}{}
		w.running.Add(1)
		go func() {
			defer w.running.Done()
			defer func() { <-slots }()
			closed := context.AfterFunc(w.ctx, func() { _ = conn.Close() })
			defer closed()
			defer conn.Close()
			_ = each(conn.(peer.Conn).Peer.Member, conn) // who asked sees the end of the connection
		}()
	}
}
