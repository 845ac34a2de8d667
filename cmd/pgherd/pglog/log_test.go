package pglog

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"log/syslog"
	"net"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/slogtest"
	"time"

	"pgherd/proxy/config"
)

func settings(change func(*config.Log)) config.Log {
	s := config.Log{Destination: []string{"stderr"}, Format: "text", LinePrefix: "", MinMessages: "warning", ErrorVerbosity: "default"}
	if change != nil {
		change(&s)
	}
	return s
}

func open(t *testing.T, s config.Log) (*Log, *bytes.Buffer) {
	t.Helper()
	var b bytes.Buffer
	l, err := New(s, &b)
	if err != nil {
		t.Fatal(err)
	}
	l.pid = 42
	return l, &b
}

func TestLines(t *testing.T) {
	at := time.Date(2026, 2, 3, 4, 5, 6, 7_890_000, time.Local)
	session := []any{"app", "psql", "user", "bob", "database", "shop", "host", "::1", "port", 5555}
	tests := []struct {
		prefix string
		level  slog.Level
		text   string
		attrs  []any
		want   string
	}{
		{"%m: %a pid %p: ", slog.LevelInfo, "ready", nil, "2026-02-03 04:05:06.007: main pid 42: LOG:  ready\n"},
		{"%t [%l] %P %% %q", slog.LevelError, "no", nil, "2026-02-03 04:05:06 [1] main % ERROR:  no\n"},
		{"%a %u@%d %r: ", slog.LevelWarn, "x", session, "psql bob@shop ::1(5555): WARNING:  x\n"},
		{"%a %u@%d: ", slog.LevelInfo, "x", []any{slog.Group("client", session...)}, "psql bob@shop: LOG:  x\n"},
		{"%h: ", LevelFatal, "x", session, "::1: FATAL:  x app=psql user=bob database=shop port=5555\n"},
		{"%u|%d|%h|%r|%", LevelPanic, "x", nil, "||||%PANIC:  x\n"},
		{"- ", slog.LevelError, "a\nb", []any{"detail", "d1\nd2", "hint", "h", "node", 3}, "- ERROR:  a\n\tb node=3\n- DETAIL:  d1\n\td2\n- HINT:  h\n"},
		{"", LevelNotice, "q", []any{"a", "b c", "e", "", "f", "x=\"y\"\n"}, `NOTICE:  q a="b c" f="x=\"y\"\n"` + "\n"},
		{"%a: ", slog.LevelInfo, "x", []any{"app", "evil\nERROR:  forged"}, "evil\n\tERROR:  forged: LOG:  x\n"},
		{"", slog.LevelInfo, "x", []any{slog.Group("g", "a", 1, slog.Group("h", "b", 2))}, "LOG:  x g.a=1 g.h.b=2\n"},
		{"", slog.LevelInfo, "x", []any{"password", config.Secret("hunter2")}, "LOG:  x password=*****\n"},
		{"", slog.LevelInfo, "x", []any{"err", errors.New("broken pipe")}, "LOG:  x err=\"broken pipe\"\n"},
		{"", slog.LevelDebug, "x", nil, "DEBUG:  x\n"},
	}
	for _, test := range tests {
		l, b := open(t, settings(func(s *config.Log) { s.LinePrefix, s.MinMessages = test.prefix, "debug5" }))
		r := slog.NewRecord(at, test.level, test.text, 0)
		r.Add(test.attrs...)
		if err := l.Logger().Handler().Handle(context.Background(), r); err != nil {
			t.Error(err)
		}
		if b.String() != test.want {
			t.Errorf("%q\n got %q\nwant %q", test.prefix, b.String(), test.want)
		}
	}
}

func TestTerseLeavesOutDetails(t *testing.T) {
	l, b := open(t, settings(func(s *config.Log) { s.ErrorVerbosity = "terse" }))
	l.Logger().Error("x", "detail", "d", "hint", "h")
	if b.String() != "ERROR:  x\n" {
		t.Errorf("got %q", b)
	}
}

// TestMinMessages checks the order of severities. For the log, LOG ranks above ERROR, so that log_min_messages = warning
// still shows it.
func TestMinMessages(t *testing.T) {
	all := map[string]slog.Level{"debug5": LevelDebug5, "debug1": slog.LevelDebug, "info": LevelInform, "notice": LevelNotice,
		"warning": slog.LevelWarn, "error": slog.LevelError, "log": slog.LevelInfo, "fatal": LevelFatal, "panic": LevelPanic}
	order := []string{"debug5", "debug1", "info", "notice", "warning", "error", "log", "fatal", "panic"}
	for i, least := range order {
		l, _ := open(t, settings(func(s *config.Log) { s.MinMessages = least }))
		for j, name := range order {
			if got := l.Logger().Enabled(context.Background(), all[name]); got != (j >= i) {
				t.Errorf("with log_min_messages = %s: %s is logged: %v", least, name, got)
			}
		}
	}
}

func TestConfigureTakesEffectOnOldLoggers(t *testing.T) {
	l, b := open(t, settings(nil))
	logger := l.Logger().With("node", 1)
	logger.Debug("a")
	if err := l.Configure(settings(func(s *config.Log) { s.MinMessages, s.Format = "debug1", "json" })); err != nil {
		t.Fatal(err)
	}
	logger.Debug("b", "detail", "d")
	var got map[string]any
	if err := json.Unmarshal(b.Bytes(), &got); err != nil {
		t.Fatalf("error %v in the log %q", err, b)
	}
	delete(got, "time")
	text, _ := json.Marshal(got)
	if want := `{"detail":"d","level":"DEBUG1","msg":"b","node":1,"pid":42}`; string(text) != want {
		t.Errorf("got %s, want %s", text, want)
	}
}

// TestSlogContract runs the standard library's checks; groups are flat here, so they are unfolded for it.
func TestSlogContract(t *testing.T) {
	l, b := open(t, settings(func(s *config.Log) { s.Format, s.MinMessages = "json", "debug5" }))
	results := func() []map[string]any {
		var list []map[string]any
		for line := range bytes.Lines(b.Bytes()) {
			var m map[string]any
			if err := json.Unmarshal(line, &m); err != nil {
				t.Fatal(err)
			}
			list = append(list, unfold(m))
		}
		return list
	}
	if err := slogtest.TestHandler(l.Logger().Handler(), results); err != nil {
		t.Error(err)
	}
}

// unfold turns the key "a.b" into a map within a map.
func unfold(flat map[string]any) map[string]any {
	out := map[string]any{}
	for key, value := range flat {
		at := out
		for group, rest, ok := strings.Cut(key, "."); ok; group, rest, ok = strings.Cut(key, ".") {
			if at[group] == nil {
				at[group] = map[string]any{}
			}
			at, key = at[group].(map[string]any), rest
		}
		at[key] = value
	}
	return out
}

func TestSyslog(t *testing.T) {
	socket := filepath.Join(t.TempDir(), "log")
	daemon, err := net.ListenPacket("unixgram", socket)
	if err != nil {
		t.Fatal(err)
	}
	defer daemon.Close()
	l, b := open(t, settings(nil))
	l.dial = func(p syslog.Priority, ident string) (*syslog.Writer, error) {
		return syslog.Dial("unixgram", socket, p, ident)
	}
	err = l.Configure(settings(func(s *config.Log) {
		s.Destination, s.SyslogFacility, s.SyslogIdent = []string{"syslog"}, "LOCAL3", "herd"
	}))
	if err != nil {
		t.Fatal(err)
	}
	l.Logger().Error("lost", "node", 2)
	packet := make([]byte, 1000)
	daemon.SetReadDeadline(time.Now().Add(10 * time.Second))
	n, _, err := daemon.ReadFrom(packet)
	got := string(packet[:n])
	// LOCAL3 is 19, warning is 4: 19*8+4.
	if err != nil || !strings.HasPrefix(got, "<156>") || !strings.Contains(got, "herd[") || !strings.HasSuffix(got, ": ERROR:  lost node=2\n") {
		t.Errorf("got %q, error %v", got, err)
	}
	if b.Len() != 0 {
		t.Errorf("the line is on stderr, too: %q", b)
	}
}

func TestUnreachableSyslogChangesNothing(t *testing.T) {
	l, b := open(t, settings(nil))
	l.dial = func(syslog.Priority, string) (*syslog.Writer, error) { return nil, errors.New("nobody there") }
	err := l.Configure(settings(func(s *config.Log) { s.Destination = []string{"syslog"} }))
	if err == nil || err.Error() != "open syslog: nobody there" {
		t.Errorf("got error %v", err)
	}
	l.Logger().Error("x")
	if b.String() != "ERROR:  x\n" {
		t.Errorf("got %q", b)
	}
}

// TestConcurrentUse checks that lines of many goroutines are not mixed, whatever is reconfigured meanwhile.
func TestConcurrentUse(t *testing.T) {
	l, b := open(t, settings(nil))
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 100 {
				l.Logger().Error("x", "detail", "y")
				if err := l.Configure(settings(nil)); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	if b.String() != strings.Repeat("ERROR:  x\nDETAIL:  y\n", 800) {
		t.Error("lines are mixed up")
	}
}
