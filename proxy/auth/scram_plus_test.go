package auth

import (
	"crypto/sha256"
	"crypto/sha512"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"io"
	"strings"
	"testing"
)

func TestEndPoint(t *testing.T) {
	raw := []byte("a certificate")
	sum256, sum384, sum512 := sha256.Sum256(raw), sha512.Sum384(raw), sha512.Sum512(raw)
	for algorithm, want := range map[x509.SignatureAlgorithm][]byte{
		x509.MD5WithRSA: sum256[:], x509.SHA1WithRSA: sum256[:], x509.ECDSAWithSHA256: sum256[:], x509.SHA256WithRSAPSS: sum256[:],
		x509.SHA384WithRSA: sum384[:], x509.ECDSAWithSHA384: sum384[:], x509.ECDSAWithSHA512: sum512[:], x509.PureEd25519: nil,
	} {
		if got := EndPoint(&x509.Certificate{Raw: raw, SignatureAlgorithm: algorithm}); string(got) != string(want) {
			t.Errorf("%v: got binding %x, want %x", algorithm, got, want)
		}
	}
	if EndPoint(nil) != nil {
		t.Error("a missing certificate has a binding")
	}
}

// TestChannelBinding runs both sides with all that each may know of the other one's certificate.
func TestChannelBinding(t *testing.T) {
	const here, there = "our certificate", "another certificate"
	for name, c := range map[string]struct {
		ours, theirs string // the binding of each side
		code         string
	}{
		"neither":                {"", "", ""},
		"both":                   {here, here, ""},
		"a man in the middle":    {here, there, "28000"},
		"only pgherd offers it":  {here, "", ""}, // the client says that it cannot
		"only the client has it": {"", here, ""}, // pgherd says that it does not offer it
	} {
		policy := &Policy{Passwd: testPasswd(t)}
		grant, err, proved, _ := converse(t,
			func(conn io.ReadWriter) (Grant, error) {
				return policy.Check(t.Context(), conn, Peer{Local: true, User: "verifier", Binding: Binding(c.ours)})
			},
			clientBound(Access{Secret: PlainSecret("verifier", "pencil"), Binding: Binding(c.theirs)}))
		if codeOf(err) != c.code || proved != (c.code == "") || (err == nil) != (grant.Secret.kind() == learnt) {
			t.Errorf("%s: got error %v, proved: %v", name, err, proved)
		}
	}
}

// TestDowngrade checks that a client is refused if it could use channel binding, and says that it was
// not offered, though pgherd has offered it.
func TestDowngrade(t *testing.T) {
	for _, c := range []struct {
		plus    bool
		binding string
		first   string
		code    string
	}{
		{false, "x", "n,,n=,r=abc", ""},
		{false, "x", "y,,n=,r=abc", "28000"},
		{false, "", "y,,n=,r=abc", ""},
		{true, "x", "p=tls-server-end-point,,n=,r=abc", ""},
		{true, "x", "p=tls-unique,,n=,r=abc", "08P01"},
		{true, "x", "n,,n=,r=abc", "08P01"},
		{true, "x", "y,,n=,r=abc", "08P01"},
		{false, "x", "p=tls-server-end-point,,n=,r=abc", "08P01"},
	} {
		x := &scramExchange{verifier: mockVerifier("x"), ownNonce: "zzz", plus: c.plus, binding: Binding(c.binding)}
		if _, err := x.first(c.first); codeOf(err) != c.code {
			t.Errorf("%+v: got error %v", c, err)
		}
	}
}

// TestLearntKeys checks that the keys that a client's proof reveals log in to a server with the same verifier, and to no
// other.
func TestLearntKeys(t *testing.T) {
	v := rfcVerifier(t)
	stored := newSecret(&held{kind: verified, user: "u", verifier: v})
	if stored.CanLogIn() {
		t.Error("a verifier without keys logs in")
	}
	x := &scramExchange{verifier: v, ownNonce: rfcServerNonce}
	x.first("n,," + rfcClientFirst)
	if _, proved, err := x.final(rfcClientFinal); !proved || err != nil {
		t.Fatal(err)
	}
	secret := stored.learn(x.clientKey)
	proof := &scramProof{secret: secret, ownNonce: "rOprNGfwEbeRWgbNEkqO"}
	proof.clientFirst = rfcClientFirst
	if final, err := (proof.final(rfcServerFirst)); err != nil || len(final) == 0 {
		t.Fatal(err)
	}
	if !secret.CanLogIn() || proof.verify(rfcServerFinal) != nil {
		t.Error("the keys learnt from a log-in do not log in")
	}
	for _, other := range []string{strings.Replace(rfcServerFirst, "W22Z", "AAAA", 1), strings.Replace(rfcServerFirst, "4096", "8192", 1)} {
		if _, err := proof.final(other); codeOf(err) != "28P01" {
			t.Errorf("%s: got error %v", other, err)
		}
	}
	for _, asked := range []string{"R\x00\x00\x00\x0c\x00\x00\x00\x05salt", "R\x00\x00\x00\x08\x00\x00\x00\x03"} {
		_, err, _, _ := converse(t, func(conn io.ReadWriter) (Welcome, error) {
			return Welcome{}, anError(LogIn(conn, nil, Access{Secret: secret}))
		}, func(conn io.ReadWriter) (int, error) {
			conn.Read(make([]byte, 100))
			return conn.Write([]byte(asked))
		})
		if codeOf(err) != "28000" || !strings.Contains(err.Error(), "SCRAM keys") {
			t.Errorf("asked for %q: got error %v", asked, err)
		}
	}
}

func anError(_ Welcome, err error) error { return err }

// clientBound is client with channel binding.
func clientBound(access Access) func(io.ReadWriter) (bool, error) {
	return func(conn io.ReadWriter) (bool, error) {
		l := &login{conn: conn, access: access}
		for range 10 {
			if _, err := l.step(); err != nil || l.proved {
				return l.proved, err
			}
		}
		return false, errors.New("the conversation does not end")
	}
}

// FuzzSCRAMPlus checks that a client that does not know the password is never let in, whatever it binds to, nor one that
// knows it but sees another certificate.
func FuzzSCRAMPlus(f *testing.F) {
	f.Add("p=tls-server-end-point,,n=,r=a", "c=cD10bHMtc2VydmVyLWVuZC1wb2ludCwsYmluZGluZw==,r=azzz,p=", "binding", true)
	f.Add("y,,n=,r=a", "c=eSws,r=azzz,p=", "", false)
	f.Add("p=tls-server-end-point,,n=,r=a", "other", "binding", true)
	v := rfcVerifier(f)
	k := deriveKeys("pencil", v.salt, v.iterations)
	f.Fuzz(func(t *testing.T, first, final, binding string, plus bool) {
		x := &scramExchange{verifier: mockVerifier("user"), ownNonce: "zzz", plus: plus, binding: Binding(binding)}
		if _, err := x.first(first); err == nil {
			if _, proved, _ := x.final(final); proved {
				t.Fatal("proved without the password")
			}
		}
		// This is the final message with the right keys, but for another binding.
		x = &scramExchange{verifier: v, ownNonce: "zzz", plus: true, binding: Binding(binding)}
		proof := &scramProof{ownNonce: "own", plus: true, binding: Binding(final),
			secret: newSecret(&held{kind: verified, verifier: v}).learn(k.client)}
		challenge, err := x.first(proof.first())
		if err != nil {
			t.Fatal(err)
		}
		answer, err := proof.final(challenge)
		if err != nil {
			t.Fatal(err)
		}
		reply, proved, err := x.final(answer)
		if proved != (final == binding) || (err == nil) != proved {
			t.Fatalf("proved: %v, error %v", proved, err)
		}
		if proved && (proof.verify(reply) != nil || !equal(x.clientKey, k.client)) {
			t.Fatal("the keys are not those of the log-in")
		}
	})
}

func b64(b []byte) string { return base64.StdEncoding.EncodeToString(b) }
