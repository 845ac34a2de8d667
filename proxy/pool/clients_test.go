package pool

import "testing"

// TestClients checks which client a notification belongs to, while clients come and go.
func TestClients(t *testing.T) {
	var c Clients
	is := func(want uint32) {
		t.Helper()
		if got := c.Notified(); got != want {
			t.Errorf("the process is found as that of client %d, want %d", got, want)
		}
	}
	is(0)
	c.Lent(1)
	is(1)
	c.Notifies()
	c.Lent(2)
	is(1) // the client's NOTIFY may be on its way
	c.Lent(2)
	is(1)
	c.Lent(3)
	is(3) // no notification takes that long
	c.Renamed(4)
	is(4)
}
