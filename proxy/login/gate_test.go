package login

import (
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"log/slog"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"pgherd/proxy/auth"
	"pgherd/proxy/certs"
	"pgherd/proxy/pool"
	"pgherd/proxy/wire"
	"pgherd/proxy/wire/wiretest"
	"pgherd/proxy/worker"
	"pgherd/proxy/worker/workertest"
)

const testHBA = `
local all         all               trust
host  clear       all   all         password
host  closed      all   all         reject
hostssl safe      all   all         trust clientcert=verify-full
host  old         all   all         md5
host  all         free  all         trust
host  app         all   127.0.0.1/8 scram-sha-256
`

const testPasswords = "alice:TEXTpencil-alice\n" +
	"vera:SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU=\n"

// secrets must not be in the log of any test gate (I9).
var secrets = []string{"pencil", "accepted", "denied", "W22Za", "WG5d8", "wfPLw"}

// testGate is a gate with fakes of all that it uses.
type testGate struct {
	*Gate
	addr string

	gaps atomic.Uint64

	mu      sync.Mutex
	log     bytes.Buffer
	adopted []worker.Login
	cancels []string
	judged  []pool.Target
}

func (g *testGate) Write(p []byte) (int, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.log.Write(p)
}

// finish does what a session does first, and then leaves.
func (g *testGate) finish(l worker.Login) {
	g.mu.Lock()
	g.adopted = append(g.adopted, l)
	g.mu.Unlock()
	conn, err := workertest.Conn(l.Socket)
	if err != nil {
		fmt.Fprintln(g, "adopt:", err)
		return
	}
	conn.SetDeadline(time.Now().Add(wiretest.Patience))
	conn.Write(wire.AppendReadyForQuery(wire.AppendAuthenticationOk(nil), wire.Idle))
	conn.Close()
}

func (g *testGate) cancel(_ context.Context, pid uint32, key []byte) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.cancels = append(g.cancels, fmt.Sprintf("%d %s", pid, key))
}

func (g *testGate) judge(ctx context.Context, target pool.Target, secret any) error {
	g.mu.Lock()
	g.judged = append(g.judged, target)
	g.mu.Unlock()
	return g.verify(ctx, target, secret)
}

func (g *testGate) verify(_ context.Context, target pool.Target, secret any) error {
	if target.Sharing == (auth.Grant{Proof: auth.Server,
		Secret: auth.PlainSecret(target.User, "accepted")}).Sharing(target.User) {
		return nil
	}
	return &wire.Fault{Severity: "FATAL", Code: "28P01", Message: "the server says no"}
}

func startGate(t testing.TB, change func(*Settings)) *testGate {
	t.Helper()
	hba, err := auth.ParseHBA(testHBA, nil)
	if err != nil {
		t.Fatal(err)
	}
	passwd, err := auth.ParsePasswd(testPasswords, "")
	if err != nil {
		t.Fatal(err)
	}
	s := &Settings{Policy: &auth.Policy{HBA: hba, Passwd: passwd}, Timeout: wiretest.Patience, LogConnections: true,
		TLS: &tls.Config{Certificates: []tls.Certificate{wiretest.Certificate()}, NextProtos: []string{certs.ALPN}, MinVersion: tls.VersionTLS12}}
	if change != nil {
		change(s)
	}
	g := &testGate{}
	g.Gate = NewGate(slog.New(slog.NewTextHandler(g, &slog.HandlerOptions{Level: slog.LevelDebug})),
		Uses{Adopt: g.finish, Cancel: g.cancel, Verify: g.verify, Judge: g.judge, Gaps: g.gaps.Load})
	g.Configure(s)
	listeners, err := Listen(t.Context(), &ListenSettings{Addresses: []string{"127.0.0.1"}})
	if err != nil {
		t.Fatal(err)
	}
	g.addr = listeners[0].Addr().String()
	served := make(chan error, 1)
	go func() { served <- g.Serve(listeners[0]) }()
	t.Cleanup(func() {
		g.Close()
		g.CloseLogins()
		if err := <-served; err != nil {
			t.Errorf("serve: %v", err)
		}
		g.checkLog(t)
	})
	return g
}

func (g *testGate) checkLog(t testing.TB) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, secret := range secrets {
		if strings.Contains(g.log.String(), secret) {
			t.Errorf("%q is in the log:\n%s", secret, g.log.String())
		}
	}
	if t.Failed() {
		t.Logf("log:\n%s", g.log.String())
	}
}

func (g *testGate) logged() string {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.log.String()
}

func (g *testGate) logins() []worker.Login {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.adopted
}

func TestLoginTraces(t *testing.T) {
	g := startGate(t, nil)
	for _, script := range wiretest.MustLoad(t, filepath.Join("testdata", "login.txt")) {
		t.Run(script.Name, func(t *testing.T) {
			if err := script.Run(g.addr); err != nil {
				t.Error(err)
			}
		})
	}
	g.closeAll()
	if got := strings.Join(g.cancels, "; "); got != "7 key4; 7 0123456789abcdef0123456789abcdef" {
		t.Errorf("cancels: %s", got)
	}
}

func (g *testGate) closeAll() {
	g.Close()
	g.CloseLogins()
}
