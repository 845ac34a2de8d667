package peers

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"time"

	"pgherd/bench/herd"
)

// Wanted says which peers to run.
type Wanted struct {
	Binary     string   // pgherd
	Install    bool     // what is missing, from Debian's packages, if we may
	Pgherd     []string // further ones, as NAME=[BINARY][;LINE]...
	Pgbouncers []string // further ones, as NAME=BINARY
	Given      []string // run by others, as NAME=ADDRESS=PIDFILE
}

const askLimit = 10 * time.Second // for a program to say its version

// installed are programs of Debian's packages.
var installed = []struct {
	program, pack string
	peer          func(binary string) *Peer
}{
	{"pgbouncer", "pgbouncer", func(binary string) *Peer { return pgbouncer("pgbouncer", binary) }},
	{"pgpool", "pgpool2", pgpool},
	{"haproxy", "haproxy", haproxy},
}

// Find returns the peers in the order in which a round runs them, and a line
// for each one that is left out.
func Find(ctx context.Context, h *herd.Herd, wanted Wanted) (found []*Peer, leftOut []string, err error) {
	found = []*Peer{
		direct(firstLine(h.Tool("postgres"), "--version")),
		pgherd("pgherd", wanted.Binary, "io_engine = io_uring\n"),
		pgherd("pgherd-epoll", wanted.Binary, "io_engine = epoll\n"),
		unstreamed(wanted.Binary),
		balanced(wanted.Binary),
	}
	for _, text := range wanted.Pgherd {
		peer, err := more(text, wanted.Binary)
		if err != nil {
			return nil, nil, err
		}
		found = append(found, peer)
	}
	for _, i := range installed {
		binary, err := locate(ctx, i.program, i.pack, wanted.Install)
		if err != nil {
			leftOut = append(leftOut, fmt.Sprintf("%s is left out: %v", i.program, err))
			continue
		}
		found = append(found, i.peer(binary))
	}
	others, err := foreign(wanted)
	return append(found, others...), leftOut, err
}

func foreign(wanted Wanted) (found []*Peer, err error) {
	for _, text := range wanted.Pgbouncers {
		name, binary, ok := strings.Cut(text, "=")
		if !ok {
			return nil, fmt.Errorf("read %q: it is not NAME=BINARY", text)
		}
		found = append(found, pgbouncer(name, binary))
	}
	for _, text := range wanted.Given {
		peer, err := given(text)
		if err != nil {
			return nil, err
		}
		found = append(found, peer)
	}
	return found, nil
}

// locate finds a program on the PATH, after the repository's own script has had
// a chance to install it.
func locate(ctx context.Context, program, pack string, install bool) (string, error) {
	binary, err := exec.LookPath(program)
	if err == nil || !install {
		return binary, err
	}
	if _, err := os.Stat(".ci/need"); err != nil {
		return "", fmt.Errorf("it is not installed (Debian package %s)", pack)
	}
	if _, err := herd.Run(ctx, ".ci/need", program+"="+pack); err != nil {
		return "", err
	}
	return exec.LookPath(program)
}

// firstLine is what a program says of itself, on either output.
func firstLine(binary string, arg string) string {
	ctx, cancel := context.WithTimeout(context.Background(), askLimit)
	defer cancel()
	out, err := exec.CommandContext(ctx, binary, arg).CombinedOutput()
	line, _, _ := strings.Cut(strings.TrimSpace(string(out)), "\n")
	if err != nil && line == "" {
		return "unknown: " + err.Error()
	}
	return line
}
