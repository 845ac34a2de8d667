package auth

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestParsePasswd(t *testing.T) {
	p, err := ParsePasswd(strings.Join([]string{
		"# comment",
		"",
		"plain:secretpw",
		"text:TEXTmd5isnotthis",
		"sealed:AESOApDmm2/arO4Fy5tQQcDwA==",
		"hash:md5" + strings.Repeat("0a", 16),
		"notahash:md5" + strings.Repeat("xy", 16),
		"verifier:" + testVerifier,
		`col\:on:pa\:ss\\word` + "\r",
		"plain:the first line counts",
	}, "\n"), "mykey")
	if err != nil {
		t.Fatal(err)
	}
	for user, want := range map[string]struct {
		kind     secretKind
		password string
	}{
		"plain": {plain, "secretpw"}, "text": {plain, "md5isnotthis"}, "sealed": {plain, "secretpw"},
		"hash": {md5Hash, ""}, "notahash": {plain, "md5" + strings.Repeat("xy", 16)}, "verifier": {verified, ""},
		"col:on": {plain, `pa:ss\word`}, "nobody": {empty, ""}, "": {empty, ""},
	} {
		if s := p.Find(user); s.kind() != want.kind || s.Plain() != want.password {
			t.Errorf("user %s: got a secret of kind %d, password %q", user, s.kind(), s.Plain())
		}
	}
	if p.Len() != 7 {
		t.Errorf("got %d users", p.Len())
	}
}

func TestPasswdErrorsHideSecrets(t *testing.T) {
	text := "nocolon-hunter2\n:hunter2\nuser:\nuser:TEXT\nuser:hunter2:other:hunter2\nuser:AEShunter2\n" +
		"user:AES" + "AAAA\nuser:SCRAM-SHA-256$hunter2\nuser:hunter2\x00\n"
	_, err := ParsePasswd(text, "wrongkey")
	if err == nil {
		t.Fatal("a wrong file is accepted")
	}
	for line := 1; line <= 9; line++ {
		if !strings.Contains(err.Error(), fmt.Sprintf("pool_passwd:%d: ", line)) {
			t.Errorf("line %d is not reported", line)
		}
	}
	if strings.Contains(err.Error(), "hunter2") {
		t.Errorf("the error shows a secret: %v", err)
	}
	if _, err := ParsePasswd("u:AESOApDmm2/arO4Fy5tQQcDwA==", ""); err == nil || !strings.Contains(err.Error(), "key file") {
		t.Errorf("without a key: got error %v", err)
	}
	if _, err := ParsePasswd("u:AESOApDmm2/arO4Fy5tQQcDwA==", "other"); err == nil {
		t.Error("a wrong key is not reported")
	}
}

func TestAESVector(t *testing.T) {
	if got := EncryptAES("secretpw", "mykey"); got != "AESOApDmm2/arO4Fy5tQQcDwA==" {
		t.Errorf("EncryptAES returned %s", got)
	}
	for _, password := range []string{"", "x", "sixteen bytes!!!", strings.Repeat("long", 50)} {
		if got, err := decryptAES(EncryptAES(password, "k")[3:], "k"); err != nil || got != password {
			t.Errorf("the password %q became %q, error %v", password, got, err)
		}
	}
}

// TestMD5Vector checks the hash that PostgreSQL stores for alice with password alice, and the answer that it
// expects for a salt.
func TestMD5Vector(t *testing.T) {
	s := PlainSecret("alice", "alice")
	if got := s.md5(); got != "md5579e43b423b454623383471aeb85cd87" {
		t.Errorf("the answer is %s", got)
	}
	hashed := newSecret(&held{kind: md5Hash, user: "alice", text: s.md5()})
	if salt := [4]byte{1, 2, 3, 4}; answerMD5(s, salt) != answerMD5(hashed, salt) {
		t.Error("the answers by the password and by its hash differ")
	}
}

func TestLoadPasswd(t *testing.T) {
	dir := t.TempDir()
	if p, err := LoadPasswd(filepath.Join(dir, "none"), ""); err != nil || p.Len() != 0 {
		t.Errorf("a missing file: got error %v", err)
	}
	path := filepath.Join(dir, "key")
	os.WriteFile(path, []byte("mykey\nsecond line\n"), 0o600)
	if key, err := ReadKey(path); err != nil || key != "mykey" {
		t.Errorf("got key %q, error %v", key, err)
	}
	var none *Passwd
	if none.Find("x").kind() != empty || none.Len() != 0 {
		t.Error("a missing pool_passwd knows a user")
	}
}

// TestSecretHides checks that a secret is shown by no way of printing (I9).
func TestSecretHides(t *testing.T) {
	s := PlainSecret("alice", "hunter2")
	s.scram()
	type outer struct {
		Shown  Secret
		any    any
		hidden Secret
	}
	o := outer{s, s, s}
	var out bytes.Buffer
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d", "%t"} {
		fmt.Fprintf(&out, verb+verb+verb, s, o, &o)
	}
	log := slog.New(slog.NewJSONHandler(&out, nil))
	log.Info("x", "secret", s, "outer", o, "grant", Grant{Secret: s})
	slog.New(slog.NewTextHandler(&out, nil)).Info("x", "secret", s, "outer", o)
	json.NewEncoder(&out).Encode(o)
	if _, err := fmt.Fprintln(&out, s, o, s.String(), s.GoString()); err != nil {
		t.Fatal(err)
	}
	for _, form := range []string{"hunter2", fmt.Sprintf("%x", "hunter2"), fmt.Sprint([]byte("hunter2"))} {
		if strings.Contains(out.String(), form) {
			t.Errorf("the output shows the secret: %s", out.String())
		}
	}
	if !strings.Contains(out.String(), shown) {
		t.Error("nothing was printed")
	}
}

func TestWarm(t *testing.T) {
	p := testPasswd(t)
	p.Warm(func() bool { return false })
	for _, user := range []string{"plain", "sealed", "verifier"} {
		if v := p.Find(user).scram(); len(v.storedKey) != 32 {
			t.Errorf("user %s has no verifier", user)
		}
	}
}

func FuzzParsePasswd(f *testing.F) {
	f.Add("a:b\nc:md5x\n", "key")
	f.Add("v:"+testVerifier, "")
	f.Add("s:AESOApDmm2/arO4Fy5tQQcDwA==\n\\:\\\\", "mykey")
	f.Fuzz(func(t *testing.T, text, key string) {
		p, err := ParsePasswd(text, key)
		if (p == nil) == (err == nil) {
			t.Fatalf("got passwords %v, error %v", p, err)
		}
	})
}
