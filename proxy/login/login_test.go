package login

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"reflect"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"pgherd/proxy/auth"
	"pgherd/proxy/pool"
	"pgherd/proxy/wire"
	"pgherd/proxy/wire/wiretest"
)

// TestLoginTellsTheSession checks that Login has all that a start-up packet says.
func TestLoginTellsTheSession(t *testing.T) {
	long := strings.Repeat("x", 70)
	for name, c := range map[string]struct {
		packet      string
		target      pool.Target
		application string
		protocol    uint32
	}{
		"plain": {"3.0 user=free", pool.Target{Database: "free", User: "free"}, "", wire.Protocol30},
		"parameters": {"3.2 user=free database=app client_encoding=UTF8 application_name=web options=-cgeqo=off",
			pool.Target{Database: "app", User: "free", Params: "application_name\x00web\x00client_encoding\x00UTF8\x00options\x00-cgeqo=off\x00"},
			"web", wire.Protocol32},
		"the last counts": {"3.0 user=nobody user=free database=a database=b", pool.Target{Database: "b", User: "free"}, "", wire.Protocol30},
		"3.1 means 3.0":   {"3.1 user=free", pool.Target{Database: "free", User: "free"}, "", wire.Protocol30},
		"long names":      {"3.0 user=free database=" + long, pool.Target{Database: long[:63], User: "free"}, "", wire.Protocol30},
		"no replication":  {"3.0 user=free replication=off", pool.Target{Database: "free", User: "free"}, "", wire.Protocol30},
		"logical replication": {"3.0 user=free database=app replication=database",
			pool.Target{Database: "app", User: "free", Params: "replication\x00database\x00", Replication: true}, "", wire.Protocol30},
	} {
		t.Run(name, func(t *testing.T) {
			g := startGate(t, nil)
			if err := wiretest.Must(t, "C: StartupMessage "+c.packet+"\nS: AuthenticationOk\nS: ReadyForQuery I").Run(g.addr); err != nil {
				t.Fatal(err)
			}
			g.closeAll()
			got := g.logins()[0].Client
			if !reflect.DeepEqual(got.Target, c.target) || got.Application != c.application || got.Protocol != c.protocol {
				t.Errorf("got %+v, %q, %#x", got.Target, got.Application, got.Protocol)
			}
			if got.Host != "127.0.0.1" || got.Port == "" || got.TLS != "" || got.LoggedIn.IsZero() {
				t.Errorf("host %q, port %q, TLS %q, at %v", got.Host, got.Port, got.TLS, got.LoggedIn)
			}
		})
	}
}

// TestSharingIsInTheTarget checks that a client that has proved nothing, or only a password that the server judges,
// shares no servers with clients that have proved more (I1).
func TestSharingIsInTheTarget(t *testing.T) {
	passwd, err := auth.ParsePasswd(testPasswords, "")
	if err != nil {
		t.Fatal(err)
	}
	targets := map[pool.Target]string{}
	for _, c := range []struct {
		name  string
		clear bool
		trace string
	}{
		{"unproved", false, "C: StartupMessage 3.0 user=bob database=db\n"},
		{"clear text", true, "C: StartupMessage 3.0 user=bob database=db\nS: authenticate password accepted\n"},
		{"known", true, "C: StartupMessage 3.0 user=alice database=db\nS: authenticate scram-sha-256 pencil-alice\n"},
	} {
		g := startGate(t, func(s *Settings) { s.Policy = &auth.Policy{Passwd: passwd, AllowClearText: c.clear} })
		if err := wiretest.Must(t, c.trace+"S: AuthenticationOk\nS: ReadyForQuery I").Run(g.addr); err != nil {
			t.Fatalf("%s: %v", c.name, err)
		}
		g.closeAll()
		target := g.logins()[0].Client.Target
		if c.name == "known" && target.Sharing != "" {
			t.Errorf("an ordinary client's target is marked: %+v", target)
		}
		target.User = "same"
		if other := targets[target]; other != "" {
			t.Errorf("%s shares servers with %s", c.name, other)
		}
		targets[target] = c.name
		if params := pool.DecodeParams(target.Params); len(params) != 0 {
			t.Errorf("%s: the mark would be sent to the server: %v", c.name, params)
		}
		if strings.Contains(fmt.Sprint(target), "accepted") {
			t.Errorf("the target has the password: %+v", target)
		}
	}
}

// TestPrimaryConfirms checks that a log-in about which a standby may have been asked is put to the primary again, and which
// log-ins those are: what PostgreSQL says of the user has decided, and there was a gap at some moment.
func TestPrimaryConfirms(t *testing.T) {
	passwd, err := auth.ParsePasswd(testPasswords, "")
	if err != nil {
		t.Fatal(err)
	}
	unjudged := "C: StartupMessage 3.0 user=bob database=db\nS: authenticate password accepted\n"
	known := "C: StartupMessage 3.0 user=alice database=db\nS: authenticate scram-sha-256 pencil-alice\n"
	for name, c := range map[string]struct {
		trace         string
		before, after uint64
		want          bool
	}{
		"there is a primary":                            {unjudged, 2, 2, false},
		"there is none":                                 {unjudged, 3, 3, true},
		"it was lost meanwhile":                         {unjudged, 2, 3, true},
		"it has come back meanwhile":                    {unjudged, 3, 4, true},
		"it was lost and has come back":                 {unjudged, 2, 4, true},
		"there is none, but pool_passwd has the secret": {known, 3, 3, false},
	} {
		g := startGate(t, func(s *Settings) { s.Policy = &auth.Policy{Passwd: passwd, AllowClearText: true} })
		g.gaps.Store(c.before)
		if c.after != c.before {
			g.uses.Verify = func(ctx context.Context, target pool.Target, secret any) error {
				g.gaps.Store(c.after)
				return g.verify(ctx, target, secret)
			}
		}
		if err := wiretest.Must(t, c.trace+"S: AuthenticationOk\nS: ReadyForQuery I").Run(g.addr); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		g.closeAll()
		client := g.logins()[0].Client
		if (client.Confirm != nil) != c.want {
			t.Errorf("%s: the primary is asked again: %v, want %v", name, client.Confirm != nil, c.want)
		}
		if client.Confirm == nil {
			continue
		}
		if err := client.Confirm(); err != nil || len(g.judged) != 1 || g.judged[0] != client.Target {
			t.Errorf("%s: confirmed with error %v, judged %v", name, err, g.judged)
		}
	}
}

// TestConfirmsInTurn checks that not all clients' log-ins are put to a new primary at once, that each has its turn, and that one
// that takes too long is to be asked again.
func TestConfirmsInTurn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		at, answers, confirmed := atomic.Int32{}, make(chan struct{}), make(chan error, 3*judgedAtOnce)
		judge := func(ctx context.Context, _ pool.Target, _ any) error {
			defer at.Add(-1)
			at.Add(1)
			select {
			case <-answers:
				return nil
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		l := &login{gate: NewGate(slog.New(slog.DiscardHandler), Uses{Judge: judge}), settings: &Settings{Policy: &auth.Policy{}}}
		confirm := l.confirmer(auth.Grant{})
		for range cap(confirmed) {
			go func() { confirmed <- confirm() }()
		}
		for range judgedAtOnce {
			if synctest.Wait(); at.Load() != judgedAtOnce {
				t.Errorf("%d are asked about at once, want %d", at.Load(), judgedAtOnce)
			}
			answers <- struct{}{}
			if err := <-confirmed; err != nil {
				t.Errorf("got error %v", err)
			}
		}
		for range cap(confirmed) - judgedAtOnce { // nobody answers any more
			fault, _ := errors.AsType[*wire.Fault](<-confirmed)
			if fault == nil || fault.Code != "57P03" {
				t.Errorf("got fault %v", fault)
			}
		}
	})
}

// TestDriverLogsIn logs in with pgx, an implementation of the protocol that is not pgherd's own.
func TestDriverLogsIn(t *testing.T) {
	g := startGate(t, nil)
	for _, c := range []struct{ options, code string }{
		{"user=alice password=pencil-alice dbname=app sslmode=disable", ""},
		{"user=alice password=pencil-alice dbname=app sslmode=require", ""},
		{"user=alice password=pencil-alice dbname=old sslmode=prefer", ""},
		{"user=vera password=pencil dbname=old sslmode=disable", ""}, // md5 becomes SCRAM
		{"user=free dbname=x sslmode=require", ""},
		{"user=alice password=wrong dbname=app sslmode=require", "28P01"},
		{"user=alice password=wrong dbname=old sslmode=disable", "28P01"},
	} {
		host, port, _ := net.SplitHostPort(g.addr)
		conn, err := pgconn.Connect(t.Context(), fmt.Sprintf("host=%s port=%s %s", host, port, c.options))
		if err == nil {
			conn.Close(context.Background())
		}
		code := ""
		if e, ok := errors.AsType[*pgconn.PgError](err); ok {
			code = e.Code
		}
		if code != c.code || err != nil && c.code == "" {
			t.Errorf("%s: %v", c.options, err)
		}
	}
}

// TestClientVanishesAtAnyByte checks that no client is passed to a worker twice, and that nothing leaks or hangs.
func TestClientVanishesAtAnyByte(t *testing.T) {
	g := startGate(t, nil)
	script := wiretest.Must(t, "C: GSSENCRequest\nS: answer N\nC: StartupMessage 3.3 user=alice database=app\n"+
		"S: NegotiateProtocolVersion 3.2\nS: authenticate scram-sha-256 pencil-alice\nS: AuthenticationOk\nS: ReadyForQuery I")
	died := 0
	for n := 0; ; n += 3 {
		err := script.DieAfter(n).Run(g.addr)
		if err == nil {
			break
		}
		if !errors.Is(err, wiretest.ErrDied) {
			t.Fatalf("after %d bytes: %v", n, err)
		}
		died++
	}
	g.closeAll()
	if died < 50 {
		t.Errorf("the client's connection ended only %d times", died)
	}
	if n := len(g.logins()); n > 2 { // at the last bytes the client may have logged in already
		t.Errorf("%d clients were passed to workers", n)
	}
}

// TestSlowloris checks that a log-in ends at its deadline, whatever it waits for.
func TestSlowloris(t *testing.T) {
	g := startGate(t, func(s *Settings) { s.Timeout = 50 * time.Millisecond })
	for name, c := range map[string]struct{ send, want string }{
		"nothing":                          {"", ""},
		"half a header":                    {"\x00\x00", ""},
		"half a packet":                    {"\x00\x00\x00\x20\x00\x03\x00\x00user", ""},
		"half a handshake":                 {"\x16\x03\x01\x02\x00\x01", ""},
		"silent when asked for a password": {startupOf("alice", "app"), "57014"},
		"silent after GSSENCRequest":       {"\x00\x00\x00\x08\x04\xd2\x16\x30", ""},
	} {
		conn, err := net.Dial("tcp", g.addr)
		if err != nil {
			t.Fatal(err)
		}
		conn.SetDeadline(time.Now().Add(wiretest.Patience))
		io.WriteString(conn, c.send)
		got, err := io.ReadAll(conn)
		if err != nil && !strings.Contains(err.Error(), "reset") || c.want != "" && !strings.Contains(string(got), c.want) {
			t.Errorf("%s: got %q, error %v", name, got, err)
		}
		conn.Close()
	}
}

// TestNoTimeout checks that authentication_timeout = 0 means no limit.
func TestNoTimeout(t *testing.T) {
	g := startGate(t, func(s *Settings) { s.Timeout = 0 })
	if err := wiretest.Must(t, "C: StartupMessage 3.0 user=free\nS: AuthenticationOk\nS: ReadyForQuery I").Run(g.addr); err != nil {
		t.Error(err)
	}
}

func startupOf(user, database string) string {
	packet, _ := wire.AppendStartup(nil, wire.Protocol30, wire.Param{Name: "user", Value: user}, wire.Param{Name: "database", Value: database})
	return string(packet)
}

// TestBytesBeforeTLS checks that clear text that was inserted behind the SSLRequest never counts as
// the client's.
func TestBytesBeforeTLS(t *testing.T) {
	g := startGate(t, nil)
	conn, err := net.Dial("tcp", g.addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(wiretest.Patience))
	conn.Write(append(wire.AppendSSLRequest(nil), startupOf("free", "app")...))
	got, _ := io.ReadAll(conn)
	if len(got) == 0 || got[0] != 'S' || strings.Contains(string(got), "R\x00\x00\x00\x08") {
		t.Errorf("the gate answered %q", got)
	}
	g.closeAll()
	if len(g.logins()) != 0 {
		t.Error("the injected start-up packet was accepted")
	}
}

func TestWithoutTLS(t *testing.T) {
	g := startGate(t, func(s *Settings) { s.TLS = nil })
	if err := wiretest.Must(t, "C: SSLRequest\nS: answer N\nC: StartupMessage 3.0 user=free\nS: AuthenticationOk\nS: ReadyForQuery I").Run(g.addr); err != nil {
		t.Error(err)
	}
	if err := wiretest.Must(t, "C: SSLRequest\nS: answer N\nC: SSLRequest\nS: ErrorResponse FATAL 08P01 ...\nS: close").Run(g.addr); err != nil {
		t.Error(err)
	}
	if err := wiretest.Must(t, "C: TLS alpn=postgresql").Run(g.addr); err == nil {
		t.Error("TLS without a certificate is accepted")
	}
}

func TestTooManyClients(t *testing.T) {
	g := startGate(t, func(s *Settings) { s.MaxClients = 3 })
	const in = "C: StartupMessage 3.0 user=free\nS: AuthenticationOk\nS: ReadyForQuery I"
	const out = "C: StartupMessage 3.0 user=free\nS: ErrorResponse FATAL 53300 \"sorry, too many clients already\" * *\nS: close"
	for i, c := range []struct {
		clients int64
		trace   string
	}{{2, in}, {3, out}, {4, out}, {0, in}} {
		g.clients.Store(c.clients)
		if err := wiretest.Must(t, c.trace).Run(g.addr); err != nil {
			t.Errorf("step %d: got error %v", i, err)
		}
	}
}

func TestTooManyParameters(t *testing.T) {
	g := startGate(t, nil)
	packet := "C: StartupMessage 3.0 user=free" + strings.Repeat(" a=b", maxStartupParams)
	if err := wiretest.Must(t, packet+"\nS: ErrorResponse FATAL 54000 ...\nS: close").Run(g.addr); err != nil {
		t.Error(err)
	}
}

// TestLoginsEndAtShutdown checks that closeLogins sends clients that wait an error, and returns.
func TestLoginsEndAtShutdown(t *testing.T) {
	g := startGate(t, nil)
	waiting := make(chan error, 1)
	asked := make(chan struct{})
	go func() {
		conn, err := net.Dial("tcp", g.addr)
		if err != nil {
			waiting <- err
			return
		}
		defer conn.Close()
		conn.SetDeadline(time.Now().Add(wiretest.Patience))
		io.WriteString(conn, startupOf("alice", "app"))
		io.ReadFull(conn, make([]byte, 9))
		close(asked)
		got, err := io.ReadAll(conn)
		if err == nil && !strings.Contains(string(got), "57P03") {
			err = fmt.Errorf("got answer %q", got)
		}
		waiting <- err
	}()
	<-asked
	g.closeAll()
	if err := <-waiting; err != nil {
		t.Error(err)
	}
	if _, err := net.Dial("tcp", g.addr); err == nil {
		t.Error("the gate still listens")
	}
}

func TestThousandLogins(t *testing.T) {
	g := startGate(t, nil)
	script := wiretest.Must(t, "C: StartupMessage 3.0 user=alice database=old\nS: authenticate md5 alice pencil-alice\nS: AuthenticationOk\nS: ReadyForQuery I\nS: close")
	var all sync.WaitGroup
	failed := make(chan error, 1000)
	for range 1000 {
		all.Go(func() {
			if err := script.Run(g.addr); err != nil {
				failed <- err
			}
		})
	}
	all.Wait()
	close(failed)
	for err := range failed {
		t.Fatalf("%d of 1000 log-ins failed, one of them with %v", len(failed)+1, err)
	}
	if n := len(g.logins()); n != 1000 || g.clients.Load() != 1000 {
		t.Errorf("%d clients were passed to workers, %d are counted", n, g.clients.Load())
	}
}

// TestFailuresAreLoggedOnce checks that a failed log-in is logged once, with the reason that the client is not told.
func TestFailuresAreLoggedOnce(t *testing.T) {
	g := startGate(t, nil)
	for _, script := range []string{
		"C: StartupMessage 3.0 user=mallory database=app\nS: authenticate scram-sha-256 pencil refuse\nS: ErrorResponse ...\nS: close",
		"C: close", // load balancers probe like this
		"C: reset",
	} {
		if err := wiretest.Must(t, script).Run(g.addr); err != nil {
			t.Fatal(err)
		}
	}
	g.closeAll()
	if n := strings.Count(g.logged(), "level=WARN"); n != 1 || !strings.Contains(g.logged(), "the user is not in pool_passwd") {
		t.Errorf("%d warnings:\n%s", n, g.logged())
	}
}
