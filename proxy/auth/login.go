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

// Welcome is what a server said when it accepted the log-in.
type Welcome struct {
	PID       uint32
	CancelKey wire.Secret // nil if the server cannot cancel
	Params    []wire.Param
}

// Access is what is needed to log in to a server.
type Access struct {
	Secret  Secret
	Binding Binding // of the TLS on conn; used if the server offers it
	Bound   bool    // do not log in without channel binding
}

// LogIn starts a session on conn, whose deadline the caller has set, and returns when
// the server is ready and idle. params are those of the start-up packet, including user
// and database. An error that the server reported is its *wire.Fault. A *wire.Fault of
// pgherd's own says what is wrong with what the server sent (08P01) or with what is
// known of the user (28000). Other errors mean that conn is broken.
func LogIn(conn io.ReadWriter, params []wire.Param, access Access) (Welcome, error) {
	packet, err := wire.AppendStartup(nil, wire.Protocol30, params...)
	if err != nil {
		return Welcome{}, err
	}
	if _, err := conn.Write(packet); err != nil {
		return Welcome{}, fmt.Errorf("write StartupMessage: %w", err)
	}
	l := &login{conn: conn, access: access}
	for range loginMessages {
		if ready, err := l.step(); ready || err != nil {
			return l.welcome, err
		}
	}
	return Welcome{}, violation("the server does not become ready", "too many messages")
}

// login is one log-in. The server leads, and pgherd answers.
type login struct {
	conn    io.ReadWriter
	access  Access
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
	case wire.NegotiateProtocolVersion: // only 3.0 without options was asked for
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

// prepare reads what comes between AuthenticationOk and ReadyForQuery.
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
		if l.scram == nil && l.access.Bound {
			return unbound("lets pgherd in without it")
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
	case l.access.Bound:
		return unbound("asks for a password")
	case inClear && l.access.Secret.kind() != plain:
		return l.cannot("a password in clear text")
	case l.access.Secret.kind() != plain && l.access.Secret.kind() != md5Hash:
		return l.cannot("md5")
	case inClear:
		return l.send(wire.AppendPassword(nil, l.access.Secret.Plain()))
	}
	return l.send(wire.AppendPassword(nil, answerMD5(l.access.Secret, v.Salt)))
}

func (l *login) beginSASL(v *wire.AuthenticationView) error {
	offered, plus := false, false
	for mechanism := range v.Mechanisms.All() {
		offered = offered || string(mechanism) == scramName
		plus = plus || string(mechanism) == plusName
	}
	plus = plus && len(l.access.Binding) > 0
	switch {
	case l.scram != nil:
		return violation("the server asks for a second authentication", "")
	case !plus && l.access.Bound:
		return unbound("does not offer it, or its certificate allows none")
	case !offered && !plus:
		return &wire.Fault{Severity: "FATAL", Code: "28000", Message: "the server does not offer SCRAM-SHA-256"}
	case l.access.Secret.kind() != plain && l.access.Secret.kind() != learnt:
		return l.cannot("scram-sha-256")
	}
	l.scram = &scramProof{secret: l.access.Secret, ownNonce: newNonce(), binding: l.access.Binding, plus: plus}
	name := scramName
	if plus {
		name = plusName
	}
	return l.send(wire.AppendSASLInitialResponse(nil, name, []byte(l.scram.first())))
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

// unbound is why server_channel_binding = require ends a log-in.
func unbound(what string) *wire.Fault {
	return &wire.Fault{Severity: "FATAL", Code: "28000",
		Message: "channel binding to the server is required, and the server " + what,
		Hint:    "Let the server use TLS and scram-sha-256, or set server_channel_binding to prefer."}
}

// cannot says why pgherd cannot do what a server asks for with what is known of the
// user.
func (l *login) cannot(wish string) *wire.Fault {
	f := &wire.Fault{Severity: "FATAL", Code: "28000", Detail: "The server asks for " + wish + ".",
		Hint: "Store the password in pool_passwd as TEXT or AES."}
	switch l.access.Secret.kind() {
	case verified:
		f.Message = "pgherd cannot log in to PostgreSQL for this user, of whom it knows only a SCRAM verifier"
		f.Detail += " The key for that comes from the client when it proves itself by SCRAM, which it did not."
		f.Hint = "Let pool_hba.conf ask the user for scram-sha-256, or store the password in pool_passwd as TEXT or AES."
	case learnt:
		f.Message = "pgherd cannot log in to PostgreSQL for this user, of whom it knows only SCRAM keys"
		f.Hint = "Let pg_hba.conf of the server ask pgherd's address for scram-sha-256."
	case md5Hash:
		f.Message = "pgherd cannot log in to PostgreSQL for this user, of whom it knows only an md5 hash"
	default:
		f.Message = "pgherd has no password to log in to PostgreSQL for this user"
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
