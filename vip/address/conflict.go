package address

import (
	"context"
	"net"
	"time"
)

// Limits of the question who has an address.
const (
	questions     = 3 // since frames get lost
	questionEvery = 20 * time.Millisecond
	answerWithin  = 60 * time.Millisecond // after the last one
)

// Conflict asks on the network who has the address, and returns the Ethernet address of the first who answers, or nil. It
// takes a tenth of a second. It is asked before the address is held.
func (k *Keeper) Conflict(ctx context.Context) (net.HardwareAddr, error) {
	is, err := k.link.port()
	if err != nil {
		return nil, err
	}
	select {
	case <-k.heard: // of before
	default:
	}
	frame := [][]byte{question(k.address.IP(), is.mac)}
	for i := range questions {
		if err := k.socket.send(frame); err != nil {
			return nil, err
		}
		wait := questionEvery
		if i == questions-1 {
			wait = answerWithin
		}
		select {
		case mac := <-k.heard:
			return mac, nil
		case <-time.After(wait):
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	return nil, nil
}
