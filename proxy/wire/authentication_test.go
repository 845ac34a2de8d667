package wire

import (
	"encoding/binary"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5/pgproto3"
)

// anyAuthentication is one type for all of pgproto3's, chosen by the code.
type anyAuthentication struct{ message3 }

func (a *anyAuthentication) Decode(body []byte) error {
	if len(body) < 4 {
		return fmt.Errorf("too short")
	}
	switch AuthCode(binary.BigEndian.Uint32(body)) {
	case AuthOk:
		a.message3 = &pgproto3.AuthenticationOk{}
	case AuthCleartextPassword:
		a.message3 = &pgproto3.AuthenticationCleartextPassword{}
	case AuthMD5Password:
		a.message3 = &pgproto3.AuthenticationMD5Password{}
	case AuthGSS:
		a.message3 = &pgproto3.AuthenticationGSS{}
	case AuthGSSContinue:
		a.message3 = &pgproto3.AuthenticationGSSContinue{}
	case AuthSASL:
		a.message3 = &pgproto3.AuthenticationSASL{}
	case AuthSASLContinue:
		a.message3 = &pgproto3.AuthenticationSASLContinue{}
	case AuthSASLFinal:
		a.message3 = &pgproto3.AuthenticationSASLFinal{}
	default:
		return fmt.Errorf("not in pgproto3")
	}
	err := a.message3.Decode(body)
	if sasl, ok := a.message3.(*pgproto3.AuthenticationSASL); ok && slices.Contains(sasl.AuthMechanisms, "") {
		return fmt.Errorf("an empty name ends the list, but pgproto3 reads on")
	}
	return err
}

func authenticationFormat() format {
	f := formatFor(Authentication, ViewAuthentication, appendAuthenticationView,
		&pgproto3.AuthenticationOk{},
		&pgproto3.AuthenticationCleartextPassword{},
		&pgproto3.AuthenticationMD5Password{Salt: [4]byte{1, 2, 3, 4}},
		&pgproto3.AuthenticationGSS{},
		&pgproto3.AuthenticationGSSContinue{Data: []byte("gss")},
		&pgproto3.AuthenticationSASL{AuthMechanisms: []string{"SCRAM-SHA-256-PLUS", "SCRAM-SHA-256"}},
		&pgproto3.AuthenticationSASLContinue{Data: []byte("r=x")},
		&pgproto3.AuthenticationSASLFinal{Data: []byte("v=x")})
	f.theirs = func() message3 { return &anyAuthentication{} }
	return f
}

func appendAuthenticationView(dst []byte, v AuthenticationView) []byte {
	switch v.Code {
	case AuthOk:
		return AppendAuthenticationOk(dst)
	case AuthCleartextPassword:
		return AppendAuthenticationCleartextPassword(dst)
	case AuthMD5Password:
		return AppendAuthenticationMD5Password(dst, v.Salt)
	case AuthSASL:
		return AppendAuthenticationSASL(dst, texts(v.Mechanisms)...)
	case AuthSASLContinue:
		return AppendAuthenticationSASLContinue(dst, v.Data)
	case AuthSASLFinal:
		return AppendAuthenticationSASLFinal(dst, v.Data)
	}
	return appendAuth(dst, v.Code, v.Data)
}

func TestSASLInitialResponse(t *testing.T) {
	for _, want := range []pgproto3.SASLInitialResponse{
		{AuthMechanism: "SCRAM-SHA-256", Data: []byte("n,,n=,r=x")},
		{AuthMechanism: "SCRAM-SHA-256", Data: []byte{}},
	} {
		built := AppendSASLInitialResponse(nil, want.AuthMechanism, want.Data)
		if theirs, _ := want.Encode(nil); string(theirs) != string(built) {
			t.Errorf("built %q, want %q", built, theirs)
		}
		v, err := ViewSASLInitialResponse(built[HeaderLen:])
		if err != nil || string(v.Mechanism) != want.AuthMechanism || string(v.Data) != string(want.Data) {
			t.Errorf("got %q %q, %v", v.Mechanism, []byte(v.Data), err)
		}
	}
	none, err := ViewSASLInitialResponse(AppendSASLInitialResponse(nil, "X", nil)[HeaderLen:])
	if err != nil || none.Data != nil {
		t.Errorf("no data: got %#v, %v", none, err)
	}
	for _, bad := range []string{"", "X", "X\x00", "X\x00\x00\x00\x00\x02a", "X\x00\x00\x00\x00\x00a", "X\x00\xff\xff\xff\xffa"} {
		if _, err := ViewSASLInitialResponse([]byte(bad)); err == nil {
			t.Errorf("accepted %q", bad)
		}
	}
	if got := AppendSASLResponse(nil, Secret("c=biws")); string(got) != "p\x00\x00\x00\x0ac=biws" {
		t.Errorf("SASLResponse %q", got)
	}
}

// TestSecretsDoNotShow checks that neither fmt nor the log shows a password or a key (I9).
func TestSecretsDoNotShow(t *testing.T) {
	v := PasswordView{Password: Secret("hunter2")}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
		got := fmt.Sprintf(verb+verb, v, &v)
		if strings.Contains(got, "hunter") || strings.Contains(got, "68756e") || strings.Contains(got, "104") {
			t.Errorf("%s shows %s", verb, got)
		}
	}
	var log strings.Builder
	logTo(&log).Info("x", "secret", v.Password, "view", v)
	if got := log.String(); strings.Contains(got, "hunter") || strings.Contains(got, "aHVudGVyMg") {
		t.Errorf("logged %s", got)
	}
}
