package auth

import (
	"encoding/base64"
	"strings"
	"testing"
)

// These are the messages of the example of RFC 7677, section 3.
const (
	rfcClientFirst = "n=user,r=rOprNGfwEbeRWgbNEkqO"
	rfcServerFirst = "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096"
	rfcClientFinal = "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="
	rfcServerFinal = "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="
	rfcServerNonce = "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0"
)

func rfcVerifier(t testing.TB) verifier {
	t.Helper()
	salt, err := base64.StdEncoding.DecodeString("W22ZaJ0SNY7soEsUEjb6gQ==")
	if err != nil {
		t.Fatal(err)
	}
	k := deriveKeys("pencil", salt, 4096)
	v := verifier{iterations: 4096, salt: salt, serverKey: k.server}
	v.storedKey = storedKey(k.client)
	return v
}

func TestSCRAMExchangeOfRFC7677(t *testing.T) {
	x := &scramExchange{verifier: rfcVerifier(t), ownNonce: rfcServerNonce}
	reply, err := x.first("n,," + rfcClientFirst)
	if err != nil || reply != rfcServerFirst {
		t.Fatalf("the first reply is %q, error %v", reply, err)
	}
	reply, proved, err := x.final(rfcClientFinal)
	if err != nil || !proved || reply != rfcServerFinal {
		t.Fatalf("the final reply is %q, proved: %v, error %v", reply, proved, err)
	}
}

func TestSCRAMProofOfRFC7677(t *testing.T) {
	x := &scramProof{secret: PlainSecret("user", "pencil"), ownNonce: "rOprNGfwEbeRWgbNEkqO"}
	if first := x.first(); first != "n,,n=,r=rOprNGfwEbeRWgbNEkqO" {
		t.Fatalf("the first message is %q", first)
	}
	x.clientFirst = rfcClientFirst // the RFC's client names the user, PostgreSQL's clients do not
	final, err := x.final(rfcServerFirst)
	if err != nil || final != rfcClientFinal {
		t.Fatalf("the final message is %q, error %v", final, err)
	}
	if err := x.verify(rfcServerFinal); err != nil {
		t.Fatal(err)
	}
	for _, wrong := range []string{"", "v=", "e=other-error", "v=" + base64.StdEncoding.EncodeToString(make([]byte, 32)), rfcServerFinal[:20]} {
		if x.verify(wrong) == nil {
			t.Errorf("verify(%q) accepted a wrong message", wrong)
		}
	}
}

func TestSCRAMFirstMessages(t *testing.T) {
	for _, c := range []struct{ message, code string }{
		{"n,,n=,r=abc", ""},
		{"y,,n=,r=abc", ""}, // pgherd offers no channel binding, as the client says
		{"n,,n=,r=abc,x=ext", ""},
		{"p=tls-server-end-point,,n=,r=abc", "08P01"},
		{"n,a=other,n=,r=abc", "0A000"},
		{"n,,m=ext,n=,r=abc", "0A000"},
		{"", "08P01"}, {"n", "08P01"}, {"n,", "08P01"}, {"n,,", "08P01"}, {"q,,n=,r=abc", "08P01"},
		{"n,,n=", "08P01"}, {"n,,n=,r=", "08P01"}, {"n,,r=abc", "08P01"},
		{"n,,n=,r=a\x01c", "08P01"}, {"n,,n=,r=\x80", "08P01"}, {"n,x,n=,r=abc", "08P01"},
	} {
		x := &scramExchange{verifier: mockVerifier("x"), ownNonce: "zzz"}
		_, err := x.first(c.message)
		if got := codeOf(err); got != c.code {
			t.Errorf("first(%q): got error %v, want code %q", c.message, err, c.code)
		}
	}
}

func TestSCRAMFinalMessages(t *testing.T) {
	good := func(s string) string { return s }
	for name, change := range map[string]func(string) string{
		"no proof":          func(s string) string { return s[:strings.Index(s, ",p=")] },
		"other binding":     func(s string) string { return strings.Replace(s, "c=biws", "c=eSws", 1) },
		"other nonce":       func(s string) string { return strings.Replace(s, "r=rOpr", "r=rOpx", 1) },
		"client nonce only": func(s string) string { return strings.Replace(s, rfcServerNonce, "", 1) },
		"short proof":       func(s string) string { return s[:len(s)-8] },
		"trailing":          func(s string) string { return s + ",x=y" },
		"empty":             func(string) string { return "" },
	} {
		x := &scramExchange{verifier: rfcVerifier(t), ownNonce: rfcServerNonce}
		x.first("n,," + rfcClientFirst)
		if _, proved, err := x.final(change(rfcClientFinal)); proved || codeOf(err) != "08P01" {
			t.Errorf("%s: proved: %v, error %v", name, proved, err)
		}
	}
	x := &scramExchange{verifier: rfcVerifier(t), ownNonce: rfcServerNonce}
	x.first("n,," + rfcClientFirst)
	wrong := rfcClientFinal[:len(rfcClientFinal)-4] + "AAA="
	if _, proved, err := x.final(good(wrong)); proved || err != nil {
		t.Errorf("wrong proof: proved: %v, error %v; want not proved and no error", proved, err)
	}
}

func TestSCRAMServerFirstMessages(t *testing.T) {
	for _, message := range []string{
		"", "r=own", "r=own,s=AAAA,i=1", // this is pgherd's own nonce and nothing more
		"r=other123,s=AAAA,i=1", "r=own1,s=,i=1", "r=own1,s=!,i=1", "r=own1,s=AAAA",
		"r=own1,s=AAAA,i=0", "r=own1,s=AAAA,i=-1", "r=own1,s=AAAA,i=2000000000", "r=own1,s=AAAA,i=1x",
		"m=ext,r=own1,s=AAAA,i=1",
	} {
		x := &scramProof{secret: PlainSecret("u", "p"), ownNonce: "own"}
		if _, err := x.final(message); codeOf(err) != "08P01" {
			t.Errorf("final(%q): got error %v", message, err)
		}
	}
}

func TestParseVerifier(t *testing.T) {
	good := "SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU="
	v, err := parseVerifier(good)
	if err != nil {
		t.Fatal(err)
	}
	if want := rfcVerifier(t); !equal(v.storedKey, want.storedKey) || !equal(v.serverKey, want.serverKey) {
		t.Error("the keys differ from those of the password")
	}
	for _, bad := range []string{
		"", "SCRAM-SHA-256", "SCRAM-SHA-256$", good + ":", good[:len(good)-4], strings.Replace(good, "$4096", "$0", 1),
		strings.Replace(good, "$4096", "$04096", 1), strings.Replace(good, "$4096", "$99999999", 1),
		strings.Replace(good, "4096:", "4096$", 1), strings.Replace(good, "W22Z", "!!!!", 1),
	} {
		if _, err := parseVerifier(bad); err == nil {
			t.Errorf("parseVerifier(%q) accepted a wrong verifier", bad)
		} else if strings.Contains(err.Error(), "WG5d8") {
			t.Errorf("the error shows a key: %v", err)
		}
	}
}

// FuzzSCRAMExchange checks that no message that a client may invent lets it in, and that nothing
// panics.
func FuzzSCRAMExchange(f *testing.F) {
	f.Add("n,,"+rfcClientFirst, rfcClientFinal)
	f.Add("y,,n=,r=a", "c=eSws,r=azzz,p=")
	f.Add("p=tls-unique,,n=,r=a", "")
	v := mockVerifier("user")
	f.Fuzz(func(t *testing.T, first, final string) {
		x := &scramExchange{verifier: v, ownNonce: "zzz"}
		if _, err := x.first(first); err != nil {
			return
		}
		if _, proved, _ := x.final(final); proved {
			t.Fatal("the client has proved itself without the password")
		}
	})
}

// FuzzSCRAMProof checks that no message that a server may invent counts as its proof, and that the check costs little.
func FuzzSCRAMProof(f *testing.F) {
	f.Add(rfcServerFirst, rfcServerFinal)
	f.Add("r=own1,s=AAAA,i=1", "v=")
	f.Fuzz(func(t *testing.T, first, final string) {
		if strings.Contains(first, "i=") && len(first) > 0 && strings.Count(first, "0") > 3 {
			return // many iterations are slow; another test counts them
		}
		x := &scramProof{secret: PlainSecret("u", "p"), ownNonce: "own"}
		x.first()
		if _, err := x.final(first); err != nil {
			return
		}
		if x.verify(final) == nil {
			t.Fatal("a server that does not know the password is accepted")
		}
	})
}
