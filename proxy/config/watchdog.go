package config

import (
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"
)

// nodeIDFile is Pgpool-II's file, beside the configuration file, with the number of this pgherd.
const nodeIDFile = "pgpool_node_id"

// longestNumber limits what is read of it, in bytes.
const longestNumber = 64

// ownNumber reads the number of this pgherd.
func ownNumber(open Open, path string) (int, error) {
	f, err := open(path)
	if errors.Is(err, os.ErrNotExist) {
		return 0, fmt.Errorf("use_watchdog is on and there is no file %s: write the number of this pgherd into it, which is 0 on the host of hostname0", path)
	}
	if err != nil {
		return 0, fmt.Errorf("read the number of this pgherd: %w", err)
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, longestNumber))
	if err != nil {
		return 0, fmt.Errorf("read the number of this pgherd: %w", err)
	}
	n, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil || n < 0 || n > MaxIndex {
		return 0, fmt.Errorf("%s has to hold the number of this pgherd, from 0 to %d, and nothing else", path, MaxIndex)
	}
	return n, nil
}

// shortestKey is how long wd_authkey has to be.
const shortestKey = 8

func badWatchdog(c *Config) string {
	w := &c.Watchdog
	isSelf := func(p Peer) bool { return p.Index == w.Self }
	switch {
	case !w.Use:
		return ""
	case len(w.Peers) == 0:
		return "use_watchdog is on and there are no peers: set hostname0, hostname1 and so on, this pgherd among them"
	case !slices.ContainsFunc(w.Peers, isSelf):
		return fmt.Sprintf("this pgherd is number %d (file %s), and hostname%d is not set", w.Self, nodeIDFile, w.Self)
	case len(w.Key) < shortestKey:
		return fmt.Sprintf("use_watchdog is on: wd_authkey has to have %d characters or more, and to be the same on all peers", shortestKey)
	case w.Lease < w.Election:
		return fmt.Sprintf("wd_lease is %v, and wd_election_timeout %v: a leader would lose the virtual addresses before another one can be elected", w.Lease, w.Election)
	}
	return badWitnesses(w)
}

// badWitnesses checks that witnesses are peers, and that others are left that serve clients.
func badWitnesses(w *Watchdog) string {
	others := len(w.Peers)
	for _, p := range w.Peers {
		if w.Witness(p.Index) {
			others--
		}
	}
	for _, text := range w.Witnesses {
		if !slices.ContainsFunc(w.Peers, func(p Peer) bool { return text == strconv.Itoa(p.Index) }) {
			return fmt.Sprintf("wd_witnesses has %q, and there is no hostname%s", text, text)
		}
	}
	if others == 0 {
		return "wd_witnesses has all peers: none is left to serve clients"
	}
	return ""
}
