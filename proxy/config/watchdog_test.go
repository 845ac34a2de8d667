package config

import (
	"slices"
	"strings"
	"testing"
	"time"
)

// TestWatchdog reads the configuration of a member of three.
func TestWatchdog(t *testing.T) {
	text := oneNode + "use_watchdog = on\nwd_authkey = 12345678\nhostname0 = a\nhostname1 = b\nwd_port1 = 9001\nhostname2 = c\npgpool_port2 = 5432\n" +
		"delegate_IP = '192.0.2.7/24@eth0'\nwd_data_directory = w\nwd_lease = 2s\nwd_witnesses = '1,2'\n"
	c, _, err := Parse(files{"/etc/c": text, "/etc/pgpool_node_id": " 2\n"}.open, "/etc/c", CommandLine{})
	if err != nil {
		t.Fatal(err)
	}
	w := c.Watchdog
	want := []Peer{{0, "a", 9000, 9999}, {1, "b", 9001, 9999}, {2, "c", 9000, 5432}}
	if w.Self != 2 || !slices.Equal(w.Peers, want) || w.Lease != 2*time.Second || w.Election != 150*time.Millisecond ||
		w.Addresses != "192.0.2.7/24@eth0" || w.Directory != "/etc/w" || w.Key != "12345678" ||
		w.Witness(0) || !w.Witness(1) || !w.Witness(2) {
		t.Errorf("got %+v", w)
	}
}

// TestOwnNumber checks what the file may hold.
func TestOwnNumber(t *testing.T) {
	for text, want := range map[string]string{"": "has to hold the number", "one": "has to hold the number", "-1": "has to hold the number", "1 2": "has to hold the number", "128": "from 0 to 127"} {
		if _, err := ownNumber(files{"/id": text}.open, "/id"); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: got error %v, want %q", text, err, want)
		}
	}
	if _, err := ownNumber(files{}.open, "/id"); err == nil || !strings.Contains(err.Error(), "there is no file /id") {
		t.Errorf("without the file: got error %v", err)
	}
}
