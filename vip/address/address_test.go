package address

import (
	"encoding/hex"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// TestParse has what may be written in delegate_ip, and what is said of what may not.
func TestParse(t *testing.T) {
	for text, want := range map[string]string{
		"":                         "",
		"10.0.0.100":               "10.0.0.100/32",
		" 10.0.0.100/24@eth0 ":     "10.0.0.100/24@eth0",
		"fd00::100, 10.0.0.100@b0": "fd00::100/128 10.0.0.100/32@b0",
		"10.0.0.300":               `"10.0.0.300" is no IP address: ADDRESS[/BITS][@INTERFACE] is expected`,
		"10.0.0.1/33":              `"10.0.0.1/33" is no IP address: ADDRESS[/BITS][@INTERFACE] is expected`,
		"db.example":               `"db.example" is no IP address: ADDRESS[/BITS][@INTERFACE] is expected`,
		"10.0.0.1@":                `"10.0.0.1@" names no interface after @`,
		"fe80::1%eth0":             `"fe80::1%eth0" has a zone: write @INTERFACE behind the address`,
		"127.0.0.1":                "127.0.0.1 is no address that a host on a network can have",
		"224.0.0.1":                "224.0.0.1 is no address that a host on a network can have",
		"::ffff:10.0.0.1":          "::ffff:10.0.0.1 is no address that a host on a network can have",
		"10.0.0.1, 10.0.0.1/24":    "10.0.0.1 is there twice",
		strings.Repeat("x,", 3):    `"x" is no IP address: ADDRESS[/BITS][@INTERFACE] is expected`,
	} {
		all, err := Parse(text)
		var words []string
		for _, a := range all {
			words = append(words, a.String())
		}
		got := strings.Join(words, " ")
		if err != nil {
			got = err.Error()
		}
		if got != want {
			t.Errorf("%q: %s, want %s", text, got, want)
		}
	}
	var many []string
	for i := range mostAddresses + 1 {
		many = append(many, netip.AddrFrom4([4]byte{10, 0, 0, byte(i + 1)}).String())
	}
	if _, err := Parse(strings.Join(many, ",")); err == nil || err.Error() != "17 addresses are too many: 16 are possible" {
		t.Errorf("17 addresses: %v", err)
	}
}

// TestPlace finds the interface where none is named.
func TestPlace(t *testing.T) {
	of := func(networks ...string) (all []netip.Prefix) {
		for _, n := range networks {
			all = append(all, netip.MustParsePrefix(n))
		}
		return all
	}
	host := []Interface{
		{1, "lo", of("127.0.0.1/8", "10.1.0.7/32")},
		{2, "eth0", of("10.0.0.1/8", "fd00::1/64")},
		{3, "eth1", of("10.1.0.1/16")},
		{4, "eth2", of("10.1.0.2/16")},
	}
	for text, want := range map[string]string{
		"10.2.0.100":      "10.2.0.100/32@eth0",
		"10.1.0.100":      "10.1.0.100/32@eth1", // the smaller network, and of two the first interface
		"10.1.0.7":        "10.1.0.7/32@eth1",   // it was left over on lo
		"fd00::100":       "fd00::100/128@eth0",
		"192.0.2.1":       "place 192.0.2.1: it is in no network of this host's: write 192.0.2.1@INTERFACE",
		"192.0.2.1@eth2":  "192.0.2.1/32@eth2",
		"10.1.0.100@eth9": "place 10.1.0.100: this host has no interface eth9",
	} {
		all, err := Parse(text)
		if err != nil {
			t.Fatal(err)
		}
		a, err := Place(all[0], host)
		got := a.String()
		if err != nil {
			got = err.Error()
		}
		if got != want {
			t.Errorf("%s: %s, want %s", text, got, want)
		}
	}
}

// TestFrames has the frames as they are sent. Those of IPv6 have a checksum that another program has worked out.
func TestFrames(t *testing.T) {
	mac := net.HardwareAddr{2, 0, 0, 0, 0, 0xaa}
	four, six := netip.MustParseAddr("10.0.0.100"), netip.MustParseAddr("fd00::100")
	for _, c := range []struct {
		what  string
		frame []byte
		want  string
	}{
		{"a request", announcements(four, mac)[0], "ffffffffffff 0200000000aa 0806 0001 0800 06 04 0001 0200000000aa 0a000064 000000000000 0a000064"},
		{"a reply", announcements(four, mac)[1], "ffffffffffff 0200000000aa 0806 0001 0800 06 04 0002 0200000000aa 0a000064 0200000000aa 0a000064"},
		{"a probe", question(four, mac), "ffffffffffff 0200000000aa 0806 0001 0800 06 04 0001 0200000000aa 00000000 000000000000 0a000064"},
		{"an advertisement", announcements(six, mac)[0], "333300000001 0200000000aa 86dd 60000000 0020 3a ff " +
			"fd000000000000000000000000000100 ff020000000000000000000000000001 88 00 57f4 20000000 fd000000000000000000000000000100 02 01 0200000000aa"},
		{"a solicitation", question(six, mac), "3333ff000100 0200000000aa 86dd 60000000 0018 3a ff " +
			"00000000000000000000000000000000 ff0200000000000000000001ff000100 87 00 7ba7 00000000 fd000000000000000000000000000100"},
	} {
		if got := hex.EncodeToString(c.frame); got != strings.ReplaceAll(c.want, " ", "") {
			t.Errorf("%s is\n%s, want\n%s", c.what, got, strings.ReplaceAll(c.want, " ", ""))
		}
	}
}

// TestClaims checks who counts as having an address, by the kernel's filter as well as by what reads after it.
func TestClaims(t *testing.T) {
	mac := net.HardwareAddr{2, 0, 0, 0, 0, 0xaa}
	four, six := netip.MustParseAddr("10.0.0.100"), netip.MustParseAddr("fd00::100")
	short := announcements(four, mac)[0][:20]
	for _, c := range []struct {
		what   string
		ip     netip.Addr
		frame  []byte
		claims bool
	}{
		{"announced", four, announcements(four, mac)[0], true},
		{"answered", four, announcements(four, mac)[1], true},
		{"asked for", four, question(four, mac), false},
		{"another's", four, announcements(four.Next(), mac)[0], false},
		{"cut short", four, short, false},
		{"announced, IPv6", six, announcements(six, mac)[0], true},
		{"asked for, IPv6", six, question(six, mac), false},
		{"another's, IPv6", six, announcements(six.Next(), mac)[0], false},
		{"of the other family", six, announcements(four, mac)[0], false},
	} {
		got := claimant(c.frame, c.ip)
		if (got != nil) != c.claims || c.claims && got.String() != mac.String() {
			t.Errorf("%s: claimed by %v", c.what, got)
		}
		sameFamily := c.ip.Is4() == (len(c.frame) < 60)
		if passes := runs(filter(c.ip), c.frame); sameFamily && passes != c.claims {
			t.Errorf("%s: the filter says %v", c.what, passes)
		}
	}
}

// runs interprets a filter as the kernel does. What is loaded from beyond the frame's end rejects it.
func runs(program []unix.SockFilter, frame []byte) bool {
	var a uint32
	for i := 0; i < len(program); i++ {
		p := program[i]
		size := map[uint16]uint32{unix.BPF_LD | unix.BPF_W | unix.BPF_ABS: 4, unix.BPF_LD | unix.BPF_B | unix.BPF_ABS: 1}[p.Code]
		switch {
		case p.Code == unix.BPF_RET|unix.BPF_K:
			return p.K != 0
		case size > 0 && p.K+size > uint32(len(frame)):
			return false
		case size > 0:
			a = 0
			for _, b := range frame[p.K : p.K+size] {
				a = a<<8 | uint32(b)
			}
		case a != p.K:
			i += int(p.Jf)
		default:
			i += int(p.Jt)
		}
	}
	return false
}

// TestLife has for how long the kernel is told to have an address, by the time that its holder has.
func TestLife(t *testing.T) {
	const s, ms = time.Second, time.Millisecond
	for _, c := range []struct{ remaining, alone, enforced time.Duration }{
		{-s, 0, 0},
		{0, 0, 0},
		{370 * ms, 0, s},
		{s, 0, s},
		{1970 * ms, s, s}, // one of two seconds, with its margin
		{2149 * ms, s, s},
		{2150 * ms, 2 * s, 2 * s},
	} {
		if got := life(c.remaining, false); got != c.alone {
			t.Errorf("%v: %v, want %v", c.remaining, got, c.alone)
		}
		if got := life(c.remaining, true); got != c.enforced {
			t.Errorf("%v, enforced: %v, want %v", c.remaining, got, c.enforced)
		}
	}
}

// TestAnnouncementsAreSpaced checks when neighbours are told, and that a pause is not made up for.
func TestAnnouncementsAreSpaced(t *testing.T) {
	const start = time.Hour
	c := course{since: start}
	for _, want := range append(append([]time.Duration(nil), announceAt...), 35*time.Second, 65*time.Second) {
		if got := c.next() - start; got != want {
			t.Errorf("announcement %d is due after %v, want %v", c.sent, got, want)
		}
		c.sent++
	}
	c = course{since: start}.passed(start + time.Minute)
	if got := c.next() - start; got != 65*time.Second {
		t.Errorf("after a pause of a minute the next is due after %v", got)
	}
}
