package login

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"

	"pgherd/proxy/auth"
	"pgherd/proxy/certs"
	"pgherd/proxy/wire"
	"pgherd/proxy/worker"
)

// firstPacket reads what may come before a start-up packet or a cancel request: TLS at
// once, or SSLRequest and GSSENCRequest, each at most once. It reads no byte more than
// a packet has, so what follows SSLRequest is only ever read as TLS. Bytes that
// somebody inserts before it in clear text break the handshake.
func (l *login) firstPacket() (wire.First, error) {
	askedTLS, askedGSS := false, false
	for opening := true; ; opening = false {
		f, direct, err := l.readFirst(opening)
		switch {
		case err != nil:
			return f, err
		case direct:
			askedTLS = true
		case f.Kind == wire.FirstSSLRequest && !askedTLS:
			askedTLS = true
			err = l.answerSSLRequest()
		case f.Kind == wire.FirstGSSENCRequest && !askedGSS:
			askedGSS = true
			err = l.answer('N')
		case f.Kind == wire.FirstSSLRequest || f.Kind == wire.FirstGSSENCRequest:
			return f, violation("encryption was asked for a second time", f.Kind.String())
		default:
			return f, nil
		}
		if err != nil {
			return f, err
		}
	}
}

// readFirst reads one packet. opening says that it is the connection's first, which may
// be TLS; direct then says so, and the handshake is done.
func (l *login) readFirst(opening bool) (f wire.First, direct bool, err error) {
	var head [4]byte
	if _, err := io.ReadFull(l.conn, head[:]); err != nil {
		if !opening {
			err = auth.NoEOF(err)
		}
		return f, false, fmt.Errorf("read first packet: %w", err)
	}
	if opening && head[0] == wire.TLSRecord {
		return f, true, l.directTLS(head[:])
	}
	n, err := wire.FirstLength(head)
	if err != nil {
		return f, false, violation("invalid length of startup packet",
			fmt.Sprintf("%d bytes: this is PostgreSQL's protocol, spoken by pgherd", binary.BigEndian.Uint32(head[:])))
	}
	body := make([]byte, n)
	if _, err := io.ReadFull(l.conn, body); err != nil {
		return f, false, fmt.Errorf("read first packet: %w", auth.NoEOF(err))
	}
	f, err = wire.ViewFirst(body)
	if unsupported, ok := errors.AsType[*wire.UnsupportedProtocolError](err); ok {
		return f, false, &wire.Fault{Severity: "FATAL", Code: "0A000", Message: fmt.Sprintf(
			"unsupported frontend protocol %d.%d: pgherd supports 3.0 to 3.2", unsupported.Protocol>>16, unsupported.Protocol&0xffff)}
	}
	if err != nil {
		return f, false, violation("invalid startup packet", err.Error())
	}
	return f, false, nil
}

func (l *login) answer(c byte) error {
	if _, err := l.conn.Write([]byte{c}); err != nil {
		return fmt.Errorf("answer first packet: %w", err)
	}
	return nil
}

// answerSSLRequest agrees to TLS if it is configured, but never over a Unix socket.
func (l *login) answerSSLRequest() error {
	if l.settings.TLS == nil || l.peer.Local {
		return l.answer('N')
	}
	if err := l.answer('S'); err != nil {
		return err
	}
	return l.handshake(l.socket)
}

// directTLS serves a client that began with TLS. The client must say by ALPN that it
// means PostgreSQL, because a browser could otherwise be tricked into speaking to
// pgherd.
func (l *login) directTLS(begun []byte) error {
	if l.settings.TLS == nil || l.peer.Local {
		return errors.New("shake hands for TLS: the client began with it, but TLS is not configured")
	}
	if err := l.handshake(&prefixed{Conn: l.socket, prefix: begun}); err != nil {
		return err
	}
	if l.tls.ConnectionState().NegotiatedProtocol != certs.ALPN {
		return violation("received direct SSL connection request without ALPN protocol negotiation extension", "")
	}
	return nil
}

// handshake puts TLS on the connection, from here to the end of its session.
func (l *login) handshake(under net.Conn) error {
	l.transport = worker.NewTransport(under)
	conn := tls.Server(l.transport, l.settings.TLS)
	if err := conn.Handshake(); err != nil {
		l.transport = nil
		return fmt.Errorf("shake hands for TLS: %w", auth.NoEOF(err))
	}
	l.tls, l.conn = conn, conn
	l.peer.TLS, l.peer.Binding = true, ownBinding(l.settings.TLS)
	if state := conn.ConnectionState(); len(state.VerifiedChains) > 0 {
		leaf := state.PeerCertificates[0]
		l.peer.Certified, l.peer.CommonName, l.peer.Subject = true, leaf.Subject.CommonName, auth.SubjectDN(leaf)
	}
	return nil
}

// ownBinding is what clients may bind SCRAM to, which is pgherd's certificate.
func ownBinding(c *tls.Config) auth.Binding {
	if len(c.Certificates) != 1 {
		return nil
	}
	leaf := c.Certificates[0].Leaf
	if leaf == nil {
		leaf, _ = x509.ParseCertificate(c.Certificates[0].Certificate[0])
	}
	return auth.EndPoint(leaf)
}

// describeTLS is the version and the cipher of a connection, or "" without TLS.
func describeTLS(conn *tls.Conn) string {
	if conn == nil {
		return ""
	}
	state := conn.ConnectionState()
	return tls.VersionName(state.Version) + " " + tls.CipherSuiteName(state.CipherSuite)
}

// prefixed returns bytes first that were read too early.
type prefixed struct {
	net.Conn
	prefix []byte
}

func (p *prefixed) Read(b []byte) (int, error) {
	if len(p.prefix) == 0 {
		return p.Conn.Read(b)
	}
	n := copy(b, p.prefix)
	p.prefix = p.prefix[n:]
	return n, nil
}

func violation(message, detail string) *wire.Fault {
	return &wire.Fault{Severity: "FATAL", Code: "08P01", Message: message, Detail: detail}
}
