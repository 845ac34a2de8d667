package connect

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"strconv"
	"strings"
	"testing"
	"time"

	"pgherd/bench/herd/herdtest"
	"pgherd/proxy/auth"
	"pgherd/proxy/certs"
	"pgherd/proxy/pool"
	"pgherd/proxy/wire"
	"pgherd/proxy/wire/wiretest"
	"pgherd/proxy/worker/workertest"
)

func testConnector(t *testing.T, addr string, mode certs.Mode) *Connector {
	t.Helper()
	node := &certs.Node{Mode: mode}
	if mode != certs.Disable {
		node.Config = &tls.Config{InsecureSkipVerify: true}
	}
	return connectorOf(&Settings{LoginTimeout: wiretest.Patience,
		Nodes: map[int]Address{0: {Name: "node 0 (test)", Network: "tcp", Address: addr, TLS: node}}})
}

// connectorOf makes a Connector for which node 0 is the primary.
func connectorOf(s *Settings) *Connector {
	first := func() (int, bool) { return 0, true }
	c := New(first, func() []int { return []int{0} }, hurried)
	c.Configure(s)
	return c
}

var (
	appKey      = pool.Target{Database: "app", User: "alice"}.On(0)
	aliceSecret = auth.PlainSecret("alice", "pencil")
)

func faultOf(err error) (code, message string) {
	if f, ok := errors.AsType[*wire.Fault](err); ok {
		return f.Code, f.Message
	}
	return "", ""
}

// admission is the question that a server is asked when it is open, and its answer.
const admission = "C: Query ...\nS: RowDescription\nS: DataRow 10/5 -3 17.5\nS: CommandComplete \"SELECT 1\"\nS: ReadyForQuery I\n"

var admissionFound = pool.Finding{Whose: "10/5", State: "-3", Loaded: "17.5"}

// TestOpenTraces plays a server for each trace. code is that of the error that Open returns.
func TestOpenTraces(t *testing.T) {
	const startup = "C: StartupMessage 3.0 user=alice database=app\n"
	const ready = "S: AuthenticationOk\nS: ParameterStatus server_version 15.4\nS: NoticeResponse WARNING 01000 x\n" +
		"S: BackendKeyData 42 key4\nS: ReadyForQuery I\n" + admission
	for name, c := range map[string]struct {
		mode  certs.Mode
		trace string
		code  string
	}{
		"trust":                                 {certs.Disable, startup + ready, ""},
		"password":                              {certs.Disable, startup + "S: authenticate password pencil\n" + ready, ""},
		"md5":                                   {certs.Disable, startup + "S: authenticate md5 alice pencil\n" + ready, ""},
		"scram":                                 {certs.Disable, startup + "S: authenticate scram-sha-256 pencil\n" + ready, ""},
		"TLS":                                   {certs.Require, "C: SSLRequest\nS: answer S\nC: TLS\n" + startup + "S: authenticate scram-sha-256 pencil\n" + ready, ""},
		"TLS preferred, not offered":            {certs.Prefer, "C: SSLRequest\nS: answer N\n" + startup + ready, ""},
		"TLS required, not offered":             {certs.Require, "C: SSLRequest\nS: answer N\nC: close", "08001"},
		"no answer to SSLRequest":               {certs.Prefer, "C: SSLRequest\nS: close", "08001"},
		"an error before TLS":                   {certs.Require, "C: SSLRequest\nS: ErrorResponse FATAL 53300 \"a lie\"\nC: reset", "08001"},
		"a negotiation":                         {certs.Disable, startup + "S: NegotiateProtocolVersion 3.0\n" + ready, ""},
		"an error":                              {certs.Disable, startup + "S: ErrorResponse FATAL 57P03 \"the database system is starting up\"\nC: close", "57P03"},
		"an error after AuthenticationOk":       {certs.Disable, startup + "S: AuthenticationOk\nS: ErrorResponse FATAL 3D000 \"no such database\"\nC: close", "3D000"},
		"wrong password":                        {certs.Disable, startup + "S: authenticate scram-sha-256 other refuse\nS: ErrorResponse FATAL 28P01 no\nC: close", "28P01"},
		"gone":                                  {certs.Disable, startup + "S: close", "08006"},
		"a reset connection":                    {certs.Disable, startup + "S: reset", "08006"},
		"closed in a message":                   {certs.Disable, startup + "S: cut 7 ParameterStatus a b\nS: close", "08006"},
		"a query result":                        {certs.Disable, startup + "S: AuthenticationOk\nS: DataRow x\nC: close", "08P01"},
		"http":                                  {certs.Disable, startup + "S: bytes \"HTTP/1.1 400 Bad Request\\r\\n\"\nC: close", "08P01"},
		"a huge length":                         {certs.Disable, startup + "S: bytes \"E\" 0x7fffffff\nC: close", "08P01"},
		"in a transaction":                      {certs.Disable, startup + "S: AuthenticationOk\nS: ReadyForQuery T\nC: close", "08P01"},
		"ready before the log-in":               {certs.Disable, startup + "S: ReadyForQuery I\nC: close", "08P01"},
		"never ready":                           {certs.Disable, startup + "S: AuthenticationOk\nS: repeat 1100 ParameterStatus a b", "08P01"},
		"GSSAPI":                                {certs.Disable, startup + "S: bytes \"R\" 0x0000000800000007\nC: close", "28000"},
		"SCRAM-SHA-256-PLUS only":               {certs.Disable, startup + "S: AuthenticationSASL SCRAM-SHA-256-PLUS\nC: close", "28000"},
		"let in without the server's proof":     {certs.Disable, startup + "S: AuthenticationSASL SCRAM-SHA-256\nC: SASLInitialResponse ...\nS: AuthenticationOk\nC: close", "08P01"},
		"a proof before the end":                {certs.Disable, startup + "S: AuthenticationSASL SCRAM-SHA-256\nC: SASLInitialResponse ...\nS: AuthenticationSASLFinal v=eA==\nC: close", "08P01"},
		"another nonce":                         {certs.Disable, startup + "S: AuthenticationSASL SCRAM-SHA-256\nC: SASLInitialResponse ...\nS: AuthenticationSASLContinue \"r=other,s=c2FsdA==,i=4096\"\nC: close", "08P01"},
		"a billion iterations":                  {certs.Disable, startup + "S: AuthenticationSASL SCRAM-SHA-256\nC: SASLInitialResponse ...\nS: AuthenticationSASLContinue \"r=other,s=c2FsdA==,i=1000000000\"\nC: close", "08P01"},
		"SCRAM that was not asked for":          {certs.Disable, startup + "S: AuthenticationSASLContinue \"r=x,s=c2FsdA==,i=1\"\nC: close", "08P01"},
		"two authentications":                   {certs.Disable, startup + "S: AuthenticationSASL SCRAM-SHA-256\nC: SASLInitialResponse ...\nS: AuthenticationCleartextPassword\nC: close", "08P01"},
		"a password asked for after the log-in": {certs.Disable, startup + "S: AuthenticationOk\nS: AuthenticationCleartextPassword\nC: close", "08P01"},
		"a key that is far too long":            {certs.Disable, startup + "S: AuthenticationOk\nS: length 4000 BackendKeyData 1 abcd\nC: close", "08P01"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := wiretest.Listen(t, wiretest.Must(t, c.trace))
			opened, err := testConnector(t, server.Addr(), c.mode).Open(t.Context(), appKey, aliceSecret)
			code, _ := faultOf(err)
			if code != c.code || (err == nil) != (c.code == "") {
				t.Errorf("got error %v, want code %q", err, c.code)
			}
			if err != nil && strings.Contains(err.Error(), "pencil") {
				t.Errorf("the password is in the error: %v", err)
			}
			if err != nil {
				return
			}
			conn, connErr := workertest.Conn(opened.Socket)
			if connErr != nil {
				t.Fatal(connErr)
			}
			conn.Close()
			if err := server.Wait(); err != nil {
				t.Error(err)
			}
			if opened.PID != 42 || string(opened.CancelKey) != "key4" || len(opened.Params) != 1 || (opened.TLS != nil) != (c.mode == certs.Require) || opened.Finding != admissionFound {
				t.Errorf("opened %+v", opened)
			}
		})
	}
}

// TestOpenSendsParameters checks that the target's parameters are sent, without its mark.
func TestOpenSendsParameters(t *testing.T) {
	for _, c := range []struct {
		target pool.Target
		want   string
	}{
		{pool.Target{User: "u", Database: "d", Params: "application_name\x00web\x00", Sharing: "no proof"}, "user=u database=d application_name=web"},
		{pool.Target{User: "u", Database: "d", Params: "replication\x00database\x00", Replication: true}, "user=u database=d replication=database"},
		{pool.Target{User: "u", Database: "d", Replication: true}, "user=u database=d replication=true"},
	} {
		server := wiretest.Listen(t, wiretest.Must(t, "C: StartupMessage 3.0 "+c.want+"\nS: AuthenticationOk\nS: ReadyForQuery I\nC: Terminate\nC: close"))
		if err := testConnector(t, server.Addr(), certs.Disable).Verify(t.Context(), 0, c.target, auth.Secret{}); err != nil {
			t.Error(err)
		}
		if err := server.Wait(); err != nil {
			t.Error(err)
		}
	}
}

func TestOpenFails(t *testing.T) {
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := closed.Addr().String()
	closed.Close()
	c := testConnector(t, addr, certs.Disable)
	_, err = c.Open(t.Context(), appKey, nil)
	if code, message := faultOf(err); code != "08001" || message != "cannot connect to node 0 (test)" {
		t.Errorf("a refused connection: got error %v", err)
	}
	unknown := appKey
	unknown.Node = 7
	_, err = c.Open(t.Context(), unknown, nil)
	if code, _ := faultOf(err); code != "08001" {
		t.Errorf("an unknown node: got error %v", err)
	}
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	for _, mode := range []certs.Mode{certs.Disable, certs.Prefer} {
		c = testConnector(t, silent.Addr().String(), mode)
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		_, err = c.Open(ctx, appKey, nil)
		cancel()
		if code, _ := faultOf(err); code != "08006" && code != "08001" {
			t.Errorf("a silent server: got error %v", err)
		}
	}
}

func TestCancelWaitsForTheEnd(t *testing.T) {
	for name, c := range map[string]struct {
		mode  certs.Mode
		trace string
		fails bool
	}{
		"plain":           {certs.Disable, "C: CancelRequest 42 key4\nS: close", false},
		"long key":        {certs.Disable, "C: CancelRequest 42 0123456789abcdef0123456789abcdef\nS: close", false},
		"TLS":             {certs.Require, "C: SSLRequest\nS: answer S\nC: TLS\nC: CancelRequest 42 key4\nS: close", false},
		"reset":           {certs.Disable, "C: CancelRequest 42 key4\nS: reset", false},
		"TLS not offered": {certs.Require, "C: SSLRequest\nS: answer N\nC: close", true},
		"a flood":         {certs.Disable, "C: CancelRequest 42 key4\nS: repeat 10000 NoticeResponse WARNING 01000 x\nC: reset", true},
	} {
		key := "key4"
		if name == "long key" {
			key = "0123456789abcdef0123456789abcdef"
		}
		server := wiretest.Listen(t, wiretest.Must(t, c.trace))
		err := testConnector(t, server.Addr(), c.mode).Cancel(t.Context(), 0, 42, []byte(key))
		if (err != nil) != c.fails {
			t.Errorf("%s: got error %v", name, err)
		}
		if err := server.Wait(); err != nil && !c.fails {
			t.Errorf("%s: got error %v", name, err)
		}
	}
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if testConnector(t, silent.Addr().String(), certs.Disable).Cancel(ctx, 0, 42, []byte("key4")) == nil {
		t.Error("a cancel that was never answered counts as done")
	}
}

// TestJudge checks that the primary decides which clients are let in, and that without one none is.
func TestJudge(t *testing.T) {
	server := wiretest.Listen(t, wiretest.Must(t, "C: StartupMessage 3.0 user=alice database=app\nS: ErrorResponse FATAL 28P01 no\nC: close"))
	c := testConnector(t, server.Addr(), certs.Disable)
	if code, _ := faultOf(c.Judge(t.Context(), appKey.Target(), aliceSecret)); code != "28P01" {
		t.Errorf("got code %q for a server that refuses", code)
	}
	if err := server.Wait(); err != nil {
		t.Error(err)
	}
	none := func() (int, bool) { return 0, false }
	c = New(none, func() []int { return nil }, hurried)
	c.Configure(&Settings{})
	for what, ask := range map[string]func(context.Context, pool.Target, any) error{"Judge": c.Judge, "Hear": c.Hear} {
		if code, _ := faultOf(ask(t.Context(), appKey.Target(), aliceSecret)); code != "57P03" {
			t.Errorf("%s: got code %q without a node", what, code)
		}
	}
}

func TestSecretFor(t *testing.T) {
	const verifier = "SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU="
	passwd, err := auth.ParsePasswd("alice:TEXTpencil-alice\nvera:"+verifier+"\n", "")
	if err != nil {
		t.Fatal(err)
	}
	c := connectorOf(&Settings{Passwd: passwd})
	for user, want := range map[string]bool{"alice": true, "vera": false, "nobody": false} {
		if _, can := c.Secret(user); can != want {
			t.Errorf("user %s: can be logged in: %v", user, can)
		}
	}
}

// TestServersOfPostgreSQL opens real servers by TLS with verification and on a Unix socket, and
// sends a real cancel.
func TestServersOfPostgreSQL(t *testing.T) {
	ctx, stop := context.WithTimeout(t.Context(), time.Minute)
	defer stop()
	h := herdtest.StartTLS(t, "SELECT 1", "hostssl all all 127.0.0.1/32 scram-sha-256", "local all all scram-sha-256")
	node := h.Nodes()[0]
	addr := net.JoinHostPort(node.Host, strconv.Itoa(node.Port))
	alice := auth.PlainSecret("alice", "alice")
	open := func(mode certs.Mode, host, ca string) (*Connector, error) {
		nodeTLS, err := certs.ForNodes(mode, &certs.NodeSettings{CA: ca})
		if err != nil {
			return nil, err
		}
		c := connectorOf(&Settings{LoginTimeout: 20 * time.Second,
			Nodes: map[int]Address{0: {Name: "node 0", Network: "tcp", Address: addr, TLS: nodeTLS.To(host)}}})
		return c, c.Verify(ctx, 0, appKey.Target(), alice)
	}
	for _, c := range []struct {
		mode certs.Mode
		host string
		code string
	}{
		{certs.Disable, "localhost", "28000"}, // pg_hba.conf has only hostssl
		{certs.Prefer, "", ""},
		{certs.Require, "elsewhere", ""},
		{certs.VerifyCA, "elsewhere", ""},
		{certs.VerifyFull, "elsewhere", "08001"},
		{certs.VerifyFull, "localhost", ""},
		{certs.VerifyFull, "127.0.0.1", ""},
	} {
		_, err := open(c.mode, c.host, h.Certs.CA)
		if code, _ := faultOf(err); code != c.code || (err == nil) != (c.code == "") {
			t.Errorf("mode %s, host %s: got error %v, want code %q", c.mode, c.host, err, c.code)
		}
	}
	c, err := open(certs.VerifyFull, "localhost", h.Certs.CA)
	if err != nil {
		t.Fatal(err)
	}
	opened, err := c.Open(ctx, appKey, alice)
	if err != nil {
		t.Fatal(err)
	}
	conn, err := workertest.Conn(opened.Socket)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(20 * time.Second))
	conn.Write(wire.AppendQuery(nil, "select pg_sleep(100)"))
	var answer []byte
	for !strings.Contains(string(answer), "57014") { // the statement may not have begun at the first cancel
		if err := c.Cancel(ctx, 0, opened.PID, opened.CancelKey); err != nil {
			t.Fatal(err)
		}
		conn.SetReadDeadline(time.Now().Add(200 * time.Millisecond))
		piece := make([]byte, 4096)
		n, err := conn.Read(piece)
		answer = append(answer, piece[:n]...)
		if ctx.Err() != nil {
			t.Fatalf("the statement was not canceled: got %q, error %v", answer, err)
		}
	}
}
