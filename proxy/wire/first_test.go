package wire

import (
	"bytes"
	"errors"
	"io"
	"log/slog"
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5/pgproto3"
)

func logTo(w io.Writer) *slog.Logger {
	return slog.New(slog.NewMultiHandler(slog.NewTextHandler(w, nil), slog.NewJSONHandler(w, nil)))
}

func TestStartupKeepsOrderAndSeparatesOptions(t *testing.T) {
	sent := []Param{{"user", "alice"}, {"_pq_.x", "1"}, {"database", ""}, {"user", "bob"}}
	packet, err := AppendStartup([]byte("before"), Protocol32, sent...)
	if err != nil {
		t.Fatal(err)
	}
	packet = packet[len("before"):]
	n, err := FirstLength([4]byte(packet))
	if err != nil || n != len(packet)-4 {
		t.Fatalf("got length %d, error %v", n, err)
	}
	f, err := ViewFirst(packet[4:])
	if err != nil || f.Kind != FirstStartup || f.Protocol != Protocol32 {
		t.Fatalf("got %+v, error %v", f, err)
	}
	if want := []Param{sent[0], sent[2], sent[3]}; !slices.Equal(f.Params, want) || !slices.Equal(f.Options, sent[1:2]) {
		t.Errorf("got %v and %v", f.Params, f.Options)
	}
	if user, _ := f.Value("user"); user != "bob" {
		t.Errorf("the user is %q", user)
	}
	if _, found := f.Value("options"); found {
		t.Error("a parameter that was not sent is found")
	}
	var theirs pgproto3.StartupMessage
	if err := theirs.Decode(packet[4:]); err != nil || theirs.Parameters["user"] != "bob" {
		t.Errorf("pgproto3 reads %+v, error %v", theirs, err)
	}
}

func TestFirstPacketsAgainstTheReference(t *testing.T) {
	key := bytes.Repeat([]byte{7}, 256)
	for _, row := range []struct {
		built  []byte
		kind   FirstKind
		theirs message3
	}{
		{AppendSSLRequest(nil), FirstSSLRequest, &pgproto3.SSLRequest{}},
		{AppendGSSENCRequest(nil), FirstGSSENCRequest, &pgproto3.GSSEncRequest{}},
		{AppendCancelRequest(nil, 9, key[:4]), FirstCancelRequest, &pgproto3.CancelRequest{ProcessID: 9, SecretKey: key[:4]}},
		{AppendCancelRequest(nil, 9, key), FirstCancelRequest, &pgproto3.CancelRequest{ProcessID: 9, SecretKey: key}},
	} {
		want, _ := row.theirs.Encode(nil)
		if !bytes.Equal(row.built, want) {
			t.Errorf("%v: built %q, want %q", row.kind, row.built, want)
		}
		f, err := ViewFirst(row.built[4:])
		if err != nil || f.Kind != row.kind {
			t.Errorf("%v: got %v, error %v", row.kind, f.Kind, err)
		}
		if f.Kind == FirstCancelRequest && (f.PID != 9 || !bytes.Equal(f.Key, want[12:])) {
			t.Errorf("cancel: got process %d and a key of %d bytes", f.PID, len(f.Key))
		}
	}
}

func TestFirstRefuses(t *testing.T) {
	version := "\x00\x03\x00\x00"
	for name, body := range map[string]string{
		"nothing":                    "",
		"half a version":             "\x00\x03",
		"no terminator":              version,
		"a name without value":       version + "user\x00",
		"a value without end":        version + "user\x00alice",
		"no final terminator":        version + "user\x00alice\x00",
		"bytes after the terminator": version + "user\x00alice\x00\x00x",
		"two terminators":            version + "\x00\x00",
		"over 10,000 bytes":          version + "user\x00" + strings.Repeat("x", 10_000) + "\x00\x00",
		"a longer SSLRequest":        "\x04\xd2\x16\x2fx",
		"a longer GSSENCRequest":     "\x04\xd2\x16\x30x",
		"cancel without a key":       "\x04\xd2\x16\x2e\x00\x00\x00\x01",
		"cancel, key of 3":           "\x04\xd2\x16\x2e\x00\x00\x00\x01123",
		"cancel, key of 257":         "\x04\xd2\x16\x2e\x00\x00\x00\x01" + strings.Repeat("k", 257),
	} {
		_, err := ViewFirst([]byte(body))
		if _, ok := errors.AsType[*ViewError](err); !ok {
			t.Errorf("%s: got error %v", name, err)
		}
	}
	for _, code := range []string{"\x00\x02\x00\x00", "\x00\x04\x00\x00", "\x04\xd2\x16\x2d", "GET "} {
		_, err := ViewFirst([]byte(code + "/ HTTP/1.1"))
		if _, ok := errors.AsType[*UnsupportedProtocolError](err); !ok {
			t.Errorf("code %q: got error %v", code, err)
		}
	}
}

func TestFirstAcceptsMinorVersionsNobodyKnows(t *testing.T) {
	f, err := ViewFirst([]byte("\x00\x03\x27\x0f\x00"))
	if err != nil || f.Protocol != 3<<16|9999 || len(f.Params) != 0 {
		t.Errorf("got %+v, error %v", f, err)
	}
}

func TestFirstLength(t *testing.T) {
	for head, want := range map[string]int{
		"\x00\x00\x00\x08": 4, "\x00\x00\x27\x14": 10_000,
		"\x00\x00\x00\x07": 0, "\x00\x00\x27\x15": 0, "\x00\x00\x00\x00": 0, "\xff\xff\xff\xff": 0,
		string([]byte{TLSRecord, 3, 1, 2}): 0,
	} {
		if n, err := FirstLength([4]byte([]byte(head))); n != want || (err == nil) != (want > 0) {
			t.Errorf("%q: got %d, error %v", head, n, err)
		}
	}
}

func TestStartupCannotBeUsedToSmuggle(t *testing.T) {
	for _, p := range []Param{
		{"user", "x\x00user\x00admin"}, {"a\x00b", "c"}, {"", "x"}, {"user", strings.Repeat("x", 10_000)},
	} {
		if got, err := AppendStartup([]byte("kept"), Protocol30, p); err == nil || string(got) != "kept" {
			t.Errorf("parameter %q: got %q, error %v", p.Name, got, err)
		} else if strings.Contains(err.Error(), "admin") {
			t.Errorf("the error %v shows a value", err)
		}
	}
}
