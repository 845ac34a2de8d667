package sentry

import (
	"encoding/binary"
	"net/netip"
	"testing"
)

// TestRivals reads what the program writes, and nothing else.
func TestRivals(t *testing.T) {
	for _, want := range []string{"10.77.0.100", "fd77::100"} {
		raw, err := binary.Append(nil, binary.NativeEndian, sentryRival{Address: key(netip.MustParseAddr(want)), Mac: [macBytes]uint8{2, 1}})
		if err != nil {
			t.Fatal(err)
		}
		if r, ok := readRival(raw); !ok || r.Address.String() != want || r.MAC.String() != "02:01:00:00:00:00" {
			t.Errorf("%s: %v %v", want, r, ok)
		}
		for _, wrong := range [][]byte{nil, raw[1:], append(raw, 0)} {
			if r, ok := readRival(wrong); ok {
				t.Errorf("%d bytes are read as %v", len(wrong), r)
			}
		}
	}
}
