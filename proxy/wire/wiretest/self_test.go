package wiretest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"path/filepath"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"
)

// meet plays one script as the client and one as the server, over TCP.
func meet(t *testing.T, client, server Script) (clientErr, serverErr error) {
	t.Helper()
	l := Listen(t, server)
	clientErr = client.Run(l.Addr())
	return clientErr, l.Wait()
}

func TestEveryTraceAgreesWithItself(t *testing.T) {
	files, _ := filepath.Glob("testdata/*.txt")
	for _, file := range files {
		for _, script := range MustLoad(t, file) {
			t.Run(script.Name, func(t *testing.T) {
				if err1, err2 := meet(t, script, script); err1 != nil || err2 != nil {
					t.Errorf("client: %v\nserver: %v", err1, err2)
				}
			})
		}
	}
}

func TestEveryMessageIsInATrace(t *testing.T) {
	seen := map[*message]bool{}
	for _, file := range []string{"testdata/login.txt", "testdata/data.txt"} {
		for _, script := range MustLoad(t, file) {
			for _, step := range script.steps {
				seen[step.message] = true
			}
		}
	}
	for i := range messages {
		if m := &messages[i]; !seen[m] {
			t.Errorf("no script uses the message %c: %s", m.side, m.name)
		}
	}
}

func TestStepsReadBackAsWritten(t *testing.T) {
	for _, file := range []string{"testdata/login.txt", "testdata/data.txt"} {
		for _, script := range MustLoad(t, file) {
			for _, step := range script.steps {
				again, err := parseStep(step.String())
				if err != nil || again.String() != step.String() || string(again.built) != string(step.built) && step.repeat == 1 {
					t.Errorf("%s: %s became %s, error %v", step.at, step.String(), again.String(), err)
				}
			}
		}
	}
}

func TestDifferencesNameTheLineWantedAndGot(t *testing.T) {
	for _, row := range []struct{ name, client, server, wanted, got string }{
		{"another field", `S: ReadyForQuery I`, `S: ReadyForQuery T`, "line 2: wanted S: ReadyForQuery I", "S: ReadyForQuery T"},
		{"another message", `S: DataRow *`, `S: ErrorResponse ERROR 42P01 "no such table"`,
			"wanted S: DataRow *", `S: ErrorResponse ERROR 42P01 "no such table"`},
		{"too many fields", `S: DataRow 1`, `S: DataRow 1 2`, "wanted S: DataRow 1", "S: DataRow 1 2"},
		{"too few fields", `S: DataRow 1 *`, `S: DataRow 1`, "wanted S: DataRow 1 *", "S: DataRow 1"},
		{"NULL is not NULL", `S: DataRow NULL`, `S: DataRow "NULL"`, "S: DataRow NULL", `got S: DataRow "NULL"`},
		{"the end", `S: DataRow 1`, `S: close`, "S: DataRow 1", "EOF"},
		{"a message in place of the end", `S: close`, `S: DataRow 1`, "S: close", "S: DataRow 1"},
		{"half a message", `S: DataRow 1`, "S: cut 7 DataRow 1\nS: close", "S: DataRow 1", "unexpected EOF"},
		{"a wrong length", `S: ReadyForQuery I`, "S: length 3 ReadyForQuery I", "S: ReadyForQuery I", "length 3"},
		{"an unknown type", `S: ReadyForQuery I`, `S: bytes "!" 0x00000004`, "S: ReadyForQuery I", "unknown type '!'"},
		{"other bytes", `S: bytes "abc"`, `S: bytes "abd"`, `S: bytes abc`, `got "abd"`},
		{"a body that is no such message", `S: ReadyForQuery I`, `S: bytes "Z" 0x00000005 "x"`, "S: ReadyForQuery I", "invalid"},
		{"the wrong request for a password", `S: authenticate md5 a b`, `S: AuthenticationCleartextPassword`,
			"S: authenticate md5 a b", "S: AuthenticationCleartextPassword"},
	} {
		t.Run(row.name, func(t *testing.T) {
			err, _ := meet(t, Must(t, "\n"+row.client), Must(t, row.server))
			if err == nil || !strings.Contains(err.Error(), row.wanted) || !strings.Contains(err.Error(), row.got) {
				t.Errorf("got error %v", err)
			}
		})
	}
}

func TestWildcardsAndSkip(t *testing.T) {
	client := Must(t, `
		S: skip ParameterStatus NoticeResponse
		S: ErrorResponse FATAL * ...
		S: BackendKeyData * *
		S: ReadyForQuery ...`)
	server := Must(t, `
		S: ParameterStatus a b
		S: ErrorResponse FATAL 53300 "too many" "detail"
		S: NoticeResponse NOTICE 00000 x
		S: BackendKeyData 1 "1234"
		S: ReadyForQuery I`)
	if err1, err2 := meet(t, client, server); err1 != nil || err2 != nil {
		t.Errorf("client: %v\nserver: %v", err1, err2)
	}
	if err, _ := meet(t, client, client); err == nil {
		t.Error("a wildcard was sent")
	}
}

func TestPasswordsMustBeRight(t *testing.T) {
	for _, method := range []string{"password", "md5 alice", "scram-sha-256"} {
		right, wrong := "S: authenticate "+method+" right", "S: authenticate "+method+" wrong"
		after := "\nS: ErrorResponse FATAL 28P01 no"
		if _, err := meet(t, Must(t, wrong), Must(t, right)); err == nil {
			t.Errorf("%s: the server took a wrong password", method)
		}
		if err1, err2 := meet(t, Must(t, wrong+" refuse"+after), Must(t, right+" refuse"+after)); err1 != nil || err2 != nil {
			t.Errorf("%s: client: %v\nserver: %v", method, err1, err2)
		}
		if _, err := meet(t, Must(t, right), Must(t, right+" refuse")); err == nil {
			t.Errorf("%s: the server refused the right password", method)
		}
	}
}

func TestServerDiesAtEveryByte(t *testing.T) {
	script := Must(t, `
		S: AuthenticationOk
		S: DataRow "a" NULL
		S: ReadyForQuery I`)
	length := 0
	for _, step := range script.steps {
		length += len(step.built)
	}
	for n := range length + 2 {
		client, server := meet(t, script, script.DieAfter(n))
		if died := errors.Is(server, ErrDied); died != (n <= length) {
			t.Fatalf("%d of %d bytes: server: %v", n, length, server)
		}
		if n > length && client != nil {
			t.Errorf("the connection is alive, but the client has the error %v", client)
		}
	}
}

func TestTracesThatMakeNoSense(t *testing.T) {
	for _, trace := range []string{
		"X: Sync", "C", "C:", "C: ", "C: Nonsense", "C: DataRow 1", "S: Query x", "C: Query", "C: Query a b",
		`C: Query "a`, `C: Query "\q"`, "C: Execute p many", "S: ReadyForQuery X", "S: answer SS", "S: answer",
		"S: bytes 0x0", "S: cut 100 ReadyForQuery I", "S: cut x ReadyForQuery I", "S: cut 1 DataRow *", "S: cut 1",
		"S: repeat 0 ReadyForQuery I", "S: skip Query", "C: skip SSLRequest", "S: TLS", "C: TLS now",
		"C: authenticate md5 a b", "S: authenticate", "S: authenticate kerberos a", "S: authenticate md5 a",
		"C: StartupMessage 3", "C: StartupMessage 3.0 user", `C: StartupMessage 3.0 user="a\x00b"`,
		"C: Bind p s [in:x]", "S: CopyInResponse maybe", "S: AuthenticationMD5Password abc", "S: close now",
		"C: Execute p 4294967296", "C: Close X name",
	} {
		if _, err := Parse("trace", trace); err == nil || !strings.Contains(err.Error(), "read trace line 1: ") {
			t.Errorf("%s: got error %v", trace, err)
		}
	}
}

func TestConnectionsBeyondTheScriptsAreAnError(t *testing.T) {
	l := Listen(t, Must(t, "S: ReadyForQuery I"))
	for range 2 {
		conn, err := net.Dial("tcp", l.Addr())
		if err != nil {
			t.Fatal(err)
		}
		_, _ = io.ReadAll(conn)
		conn.Close()
	}
	if err := l.Wait(); err == nil || !strings.Contains(err.Error(), "1 connections more") {
		t.Errorf("got error %v", err)
	}
}

// TestAgainstPgconn checks that pgconn, which is not pgherd's, agrees with the fake server.
func TestAgainstPgconn(t *testing.T) {
	for _, row := range []struct{ method, mode string }{
		{"password secret", "disable"}, {"md5 alice secret", "disable"}, {"scram-sha-256 secret", "disable"},
		{"scram-sha-256 secret", "require"},
	} {
		trace := fmt.Sprintf(`
			C: StartupMessage 3.0 ...
			S: authenticate %s
			S: AuthenticationOk
			S: BackendKeyData 1 1234
			S: ReadyForQuery I
			C: Query "select 1"
			S: RowDescription one
			S: DataRow 1
			S: CommandComplete "SELECT 1"
			S: ReadyForQuery I
			C: Terminate
			C: reset`, row.method)
		if row.mode == "require" {
			trace = "C: SSLRequest\nS: answer S\nC: TLS\n" + trace
		}
		l := Listen(t, Must(t, trace))
		host, port, _ := net.SplitHostPort(l.Addr())
		conn, err := pgconn.Connect(context.Background(), fmt.Sprintf(
			"host=%s port=%s user=alice password=secret dbname=app sslmode=%s", host, port, row.mode))
		if err != nil {
			t.Fatalf("%v: got error %v", row, err)
		}
		results, err := conn.Exec(context.Background(), "select 1").ReadAll()
		if err != nil || len(results) != 1 || string(results[0].Rows[0][0]) != "1" {
			t.Errorf("%v: got results %v, error %v", row, results, err)
		}
		conn.Close(context.Background())
		if err := l.Wait(); err != nil {
			t.Errorf("%v: got error %v", row, err)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add("== a\nC: Bind p s [in:1] NULL \"x\" [out:0]\nS: DataRow * ...")
	f.Add("S: cut 7 DataRow \"x\"\nS: bytes 0x00")
	f.Fuzz(func(t *testing.T, trace string) {
		scripts, err := Parse("trace", trace)
		if err != nil {
			return
		}
		for _, script := range scripts {
			for _, step := range script.steps {
				again, err := parseStep(step.String())
				if err != nil || again.String() != step.String() {
					t.Fatalf("%q became %q, error %v", step.String(), again.String(), err)
				}
			}
		}
	})
}
