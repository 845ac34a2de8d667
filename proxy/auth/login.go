package auth

import (
	"bytes"
	"fmt"
	"io"

	"pgherd/proxy/wire"
)

// Limits of what a server may send before it is ready (I5).
const (
	longestReply  = 64 << 10 // bytes of one message
	loginMessages = 1000     // PostgreSQL sends about 25
)

// Welcome is what a server told when it let us in.
type Welcome struct {
	PID       uint32
	CancelKey wire.Secret // nil if the server cannot cancel
	Params    []wire.Param
}

// LogIn starts a session on conn, whose deadline the caller has set, and
// returns when the server is ready and idle. params are those of the start-up
// packet, user and database among them. An error that the server reported is
// its *wire.Fault; a *wire.Fault of our own tells what is wrong with what the
// server sent (08P01) or with what is known of the user (28000); other errors
// mean that conn broke.
func LogIn(conn io.ReadWriter, params []wire.Param, secret Secret) (Welcome, error) {
	packet, err := wire.AppendStartup(nil, wire.Protocol30, params...)
	if err != nil {
		return Welcome{}, err
	}
	if _, err := conn.Write(packet); err != nil {
		return Welcome{}, fmt.Errorf("write StartupMessage: %w", err)
	}
	l := &login{conn: conn, secret: secret}
	for range loginMessages {
		if ready, err := l.step(); ready || err != nil {
			return l.welcome, err
		}
	}
	return Welcome{}, violation("the server does not become ready", "too many messages")
}

// login is one log-in under way. The server leads, we answer.
type login struct {
	conn    io.ReadWriter
	secret  Secret
	welcome Welcome
	scram   *scramProof // once SASL has begun
	proved  bool        // the server has shown its signature
	in      bool        // AuthenticationOk has come
}

// step reads one message and answers it.
func (l *login) step() (ready bool, err error) {
	kind, body, err := readMessage(l.conn, wire.ReplyKind, longestReply)
	if err != nil {
		return false, err
	}
	switch kind {
	case wire.ErrorResponse:
		f := wire.ViewFault(body)
		return false, &f
	case wire.NoticeResponse:
		return false, nil
	case wire.NegotiateProtocolVersion: // 3.0 without options is all we asked for
		_, err := wire.ViewNegotiateProtocolVersion(body)
		return false, nonsense(err)
	case wire.Authentication:
		if l.in {
			return false, unexpected(kind)
		}
		return false, l.authenticate(body)
	}
	if !l.in {
		return false, unexpected(kind)
	}
	return l.prepare(kind, body)
}

// prepare takes what comes between AuthenticationOk and ReadyForQuery.
func (l *login) prepare(kind wire.Kind, body []byte) (ready bool, err error) {
	switch kind {
	case wire.ParameterStatus:
		v, err := wire.ViewParameterStatus(body)
		l.welcome.Params = append(l.welcome.Params, wire.Param{Name: string(v.Name), Value: string(v.Value)})
		return false, nonsense(err)
	case wire.BackendKeyData:
		v, err := wire.ViewBackendKeyData(body)
		l.welcome.PID, l.welcome.CancelKey = v.PID, bytes.Clone(v.Key)
		return false, nonsense(err)
	case wire.ReadyForQuery:
		v, err := wire.ViewReadyForQuery(body)
		if err == nil && v.State != wire.Idle {
			return false, violation("the server begins inside a transaction", "")
		}
		return err == nil, nonsense(err)
	}
	return false, unexpected(kind)
}

// authenticate answers what the server asks for.
func (l *login) authenticate(body []byte) error {
	v, err := wire.ViewAuthentication(body)
	if err != nil {
		return nonsense(err)
	}
	switch v.Code {
	case wire.AuthOk:
		if l.scram != nil && !l.proved {
			return violation("the server skipped the end of SCRAM", "")
		}
		l.in = true
		return nil
	case wire.AuthCleartextPassword, wire.AuthMD5Password:
		return l.answerPassword(&v)
	case wire.AuthSASL:
		return l.beginSASL(&v)
	case wire.AuthSASLContinue, wire.AuthSASLFinal:
		return l.goOnSASL(&v)
	}
	return &wire.Fault{Severity: "FATAL", Code: "28000",
		Message: fmt.Sprintf("the server asks for an authentication that pgherd does not speak (code %d: GSSAPI, SSPI or the like)", v.Code),
		Hint:    "Let pg_hba.conf of the server ask pgherd's address for scram-sha-256."}
}

func (l *login) answerPassword(v *wire.AuthenticationView) error {
	inClear := v.Code == wire.AuthCleartextPassword
	switch {
	case l.scram != nil:
		return violation("the server asks for a second authentication", "")
	case !l.secret.CanLogIn(), inClear && l.secret.kind() != plain:
		return l.cannot("a password")
	case inClear:
		return l.send(wire.AppendPassword(nil, l.secret.password()))
	}
	return l.send(wire.AppendPassword(nil, answerMD5(l.secret, v.Salt)))
}

func (l *login) beginSASL(v *wire.AuthenticationView) error {
	offered := false
	for mechanism := range v.Mechanisms.All() {
		offered = offered || string(mechanism) == scramName
	}
	switch {
	case l.scram != nil:
		return violation("the server asks for a second authentication", "")
	case !offered:
		return &wire.Fault{Severity: "FATAL", Code: "28000", Message: "the server does not offer SCRAM-SHA-256"}
	case l.secret.kind() != plain:
		return l.cannot("scram-sha-256")
	}
	l.scram = &scramProof{secret: l.secret, ownNonce: newNonce()}
	return l.send(wire.AppendSASLInitialResponse(nil, scramName, []byte(l.scram.first())))
}

func (l *login) goOnSASL(v *wire.AuthenticationView) error {
	switch {
	case l.scram == nil || l.proved:
		return violation("the server goes on with a SCRAM that has not begun", "")
	case v.Code == wire.AuthSASLFinal:
		err := l.scram.verify(string(v.Data))
		l.proved = err == nil
		return err
	case l.scram.signature != nil:
		return violation("the server goes on with a SCRAM that is over", "")
	}
	answer, err := l.scram.final(string(v.Data))
	if err != nil {
		return err
	}
	return l.send(wire.AppendSASLResponse(nil, []byte(answer)))
}

func (l *login) send(message []byte) error {
	if _, err := l.conn.Write(message); err != nil {
		return fmt.Errorf("write authentication: %w", err)
	}
	return nil
}

// cannot says why a server's wish cannot be granted with what is stored.
func (l *login) cannot(wish string) *wire.Fault {
	f := &wire.Fault{Severity: "FATAL", Code: "28000",
		Hint: "Store the password in pool_passwd as TEXT or AES."}
	switch l.secret.kind() {
	case verified:
		f.Message = "pgherd cannot log in to PostgreSQL for this user, of whom it knows only a SCRAM verifier"
		f.Detail = "With the verifier the user can prove who it is to pgherd, but pgherd cannot prove it to PostgreSQL until SCRAM pass-through comes; the server asks for " + wish + "."
	case md5Hash:
		f.Message = "pgherd cannot log in to PostgreSQL for this user, of whom it knows only an md5 hash"
		f.Detail = "An md5 hash serves only servers that ask for md5; this one asks for " + wish + "."
	default:
		f.Message = "pgherd has no password to log in to PostgreSQL for this user"
		f.Detail = "The server asks for " + wish + "."
	}
	return f
}

func unexpected(kind wire.Kind) *wire.Fault {
	return violation("the server sent something unexpected while logging in", kind.String())
}

func nonsense(err error) error {
	if err == nil {
		return nil
	}
	return violation("the server sent something invalid while logging in", err.Error())
}
