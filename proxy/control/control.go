// Package control answers administrators on this machine: it runs pgherd's own commands for
// whoever connects to its Unix socket as the user that pgherd runs as, or as root. What the
// commands do is not its business.
package control

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"time"

	"golang.org/x/sys/unix"

	"pgherd/proxy/wire"
)

// Named limits.
const (
	requestLimit = 4 << 10         // bytes of a request
	answerLimit  = 64 << 20        // bytes of an answer
	headerLimit  = 5 * time.Second // for a request to arrive
	runLimit     = 25 * time.Hour  // for a command; its own limit is shorter
)

// Answer is what a command returns: rows, or nothing.
type Answer struct {
	Columns []string   `json:"columns,omitempty"`
	Rows    [][]string `json:"rows,omitempty"`
	Notice  string     `json:"notice,omitempty"`
}

// Error is why a command could not be run.
type Error struct {
	Code    string `json:"code"` // SQLSTATE
	Message string `json:"message"`
	Hint    string `json:"hint,omitempty"`
}

func (e *Error) Error() string {
	if e.Hint != "" {
		return e.Message + "\nhint: " + e.Hint
	}
	return e.Message
}

// request and reply are what goes over the socket, as HTTP bodies.
type request struct {
	Command string `json:"command"`
}

type reply struct {
	Answer *Answer `json:"answer,omitempty"`
	Error  *Error  `json:"error,omitempty"`
}

// Path is the socket in a folder, of the pgherd with this port.
func Path(folder string, port int) string {
	return filepath.Join(folder, ".s.PGHERD."+strconv.Itoa(port))
}

// Listen makes the socket. One that is left over from a process that has ended is replaced.
func Listen(path string) (net.Listener, error) {
	if conn, err := net.Dial("unix", path); err == nil {
		conn.Close()
		return nil, fmt.Errorf("listen at %s: another pgherd answers there", path)
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("listen at %s: %w", path, err)
	}
	before := unix.Umask(0o177)
	l, err := net.Listen("unix", path)
	unix.Umask(before)
	return l, err
}

// Run runs a command that stands in SQL, for a user of this machine.
type Run func(ctx context.Context, command, user string) (Answer, error)

// Server serves a socket until Close.
type Server struct{ http *http.Server }

// Serve answers on l, on goroutines of its own.
func Serve(l net.Listener, run Run) *Server {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /run", func(w http.ResponseWriter, r *http.Request) { answer(w, r, run) })
	s := &Server{&http.Server{Handler: mux, ReadHeaderTimeout: headerLimit, ReadTimeout: headerLimit, WriteTimeout: runLimit,
		ConnContext: func(ctx context.Context, c net.Conn) context.Context {
			return context.WithValue(ctx, peerKey{}, peerOf(c))
		}}}
	go func() { _ = s.http.Serve(l) }() // it ends with Close
	return s
}

// Close ends it, and removes the socket.
func (s *Server) Close() error { return s.http.Close() }

type peerKey struct{}

// peer is the user at the other end of a connection, as the kernel tells.
type peer struct {
	uid uint32
	ok  bool
}

func peerOf(c net.Conn) (p peer) {
	socket, ok := c.(*net.UnixConn)
	if !ok {
		return p
	}
	raw, err := socket.SyscallConn()
	if err != nil {
		return p
	}
	_ = raw.Control(func(fd uintptr) {
		if cred, err := unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED); err == nil {
			p = peer{cred.Uid, true}
		}
	})
	return p
}

// may says that a peer may give commands.
func (p peer) may(own int) bool { return p.ok && (p.uid == 0 || int(p.uid) == own) }

// name is the user's, or the number where the system has no name for it.
func (p peer) name() string {
	number := strconv.FormatUint(uint64(p.uid), 10)
	if u, err := user.LookupId(number); err == nil {
		return u.Username
	}
	return "uid " + number
}

func answer(w http.ResponseWriter, r *http.Request, run Run) {
	p, _ := r.Context().Value(peerKey{}).(peer)
	if !p.may(os.Geteuid()) {
		write(w, http.StatusForbidden, reply{Error: &Error{Code: "42501", Message: "permission denied",
			Hint: "Run it as the user that pgherd runs as, or as root."}})
		return
	}
	var asked request
	if err := json.NewDecoder(io.LimitReader(r.Body, requestLimit)).Decode(&asked); err != nil {
		write(w, http.StatusBadRequest, reply{Error: &Error{Code: "08P01", Message: "read request: " + err.Error()}})
		return
	}
	a, err := run(r.Context(), asked.Command, p.name())
	if err == nil {
		write(w, http.StatusOK, reply{Answer: &a})
		return
	}
	failed := &Error{Code: "XX000", Message: err.Error()}
	if f, ok := errors.AsType[*wire.Fault](err); ok {
		failed = &Error{Code: f.Code, Message: f.Message, Hint: f.Hint}
	}
	write(w, http.StatusUnprocessableEntity, reply{Error: failed})
}

func write(w http.ResponseWriter, status int, r reply) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(r) // who has left needs no answer
}
