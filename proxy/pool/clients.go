package pool

import "sync/atomic"

// Clients are the numbers by which the clients of a server are known: 0, none. A
// server's owner writes them; any thread may read them.
type Clients struct{ now, before, notified atomic.Uint32 }

// Lent notes that a client has the server now.
func (c *Clients) Lent(number uint32) {
	if last := c.now.Load(); last != number {
		c.before.Store(last)
		c.now.Store(number)
	}
}

// Renamed notes that the client which has the server is known by another number.
func (c *Clients) Renamed(number uint32) { c.now.Store(number) }

// Notifies notes that the client which has the server runs a NOTIFY.
func (c *Clients) Notifies() { c.notified.Store(c.now.Load()) }

// Notified is whose a notification is that has just come from the server. Its client
// may have left the server meanwhile; a NOTIFY that no text shows, in a trigger, is
// taken for the present client's.
func (c *Clients) Notified() (number uint32) {
	now := c.now.Load()
	if last := c.notified.Load(); last != 0 && (last == now || last == c.before.Load()) {
		return last
	}
	return now
}
