package peers

import (
	"context"
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
)

// given is a peer that somebody else runs, as NAME=ADDRESS=PIDFILE. It has to
// reach our PostgreSQL, so that one needs a port that was agreed on.
func given(text string) (*Peer, error) {
	parts := strings.Split(text, "=")
	if len(parts) != 3 {
		return nil, fmt.Errorf("read %q: it is not NAME=ADDRESS=PIDFILE", text)
	}
	host, port, err := net.SplitHostPort(parts[1])
	if err != nil {
		return nil, fmt.Errorf("read address of %s: %w", parts[0], err)
	}
	number, err := strconv.Atoi(port)
	if err != nil {
		return nil, fmt.Errorf("read port of %s: %w", parts[0], err)
	}
	return &Peer{Name: parts[0], Version: "given", Notes: []string{"run by somebody else, with settings we do not know"},
		start: func(context.Context, Place) (running, error) {
			pid, err := readPID(parts[2])
			return running{host: host, port: number, pid: pid, stop: func() error { return nil },
				log: func() string { return "its log is not ours" }}, err
		}}, nil
}

func readPID(path string) (int, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return 0, err
	}
	line, _, _ := strings.Cut(string(text), "\n")
	pid, err := strconv.Atoi(strings.TrimSpace(line))
	if err != nil {
		return 0, fmt.Errorf("read pid file %s: %w", path, err)
	}
	return pid, nil
}
