package auth

import (
	"bytes"
	"crypto/md5"
	"encoding/hex"
	"fmt"
	"log/slog"
	"sync"
)

// secretKind is what a Secret holds.
type secretKind uint8

const (
	empty    secretKind = iota
	plain               // the password itself
	md5Hash             // "md5" and 32 hexadecimal digits, as PostgreSQL stores it
	verified            // a SCRAM verifier: proves a client, logs in nowhere
	learnt              // a SCRAM verifier, and the ClientKey that the client's proof gave away
)

// Secret is what is known of a user's password. It never shows itself (I9). Its content
// is behind two pointers, because fmt does not call the methods of a value in a private
// field, and prints what one pointer points to when the verb is a wrong one. The zero
// value means that nothing is known.
type Secret struct{ ref **held }

// held is immutable except for what is derived once.
type held struct {
	kind     secretKind
	user     string
	text     string   // plain, md5Hash
	verifier verifier // verified, learnt
	derived  func() verifier

	mu   sync.Mutex
	keys scramKeys // keys of the last log-in to a server: the same salt comes again
	// right is keyed of the password that was last found right for a verifier.
	right []byte
}

// PlainSecret is a password.
func PlainSecret(user, password string) Secret {
	return newSecret(&held{kind: plain, user: user, text: password})
}

func newSecret(h *held) Secret {
	h.derived = sync.OnceValue(func() verifier { return deriveVerifier(h.user, h.text) })
	return Secret{&h}
}

func (s Secret) held() *held { return *s.ref }

const shown = "*****"

// Format hides the secret from every verb of fmt.
func (Secret) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(shown)) }

// String hides the secret.
func (Secret) String() string { return shown }

// GoString hides the secret.
func (Secret) GoString() string { return shown }

// MarshalText hides the secret from encoders.
func (Secret) MarshalText() ([]byte, error) { return []byte(shown), nil }

// LogValue hides the secret from log/slog.
func (Secret) LogValue() slog.Value { return slog.StringValue(shown) }

// CanLogIn says that at least one method works with a server that asks for a password.
func (s Secret) CanLogIn() bool {
	return s.kind() == plain || s.kind() == md5Hash || s.kind() == learnt
}

func (s Secret) kind() secretKind {
	if s.ref == nil {
		return empty
	}
	return s.held().kind
}

// Plain is the password itself; "" where only a hash of it is known, or nothing.
func (s Secret) Plain() string {
	if s.kind() != plain {
		return ""
	}
	return s.held().text
}

// md5 is the hash as PostgreSQL stores it: "md5", then MD5 of password and user.
func (s Secret) md5() string {
	if s.kind() == plain {
		return "md5" + md5Hex(s.held().text, s.held().user)
	}
	return s.held().text
}

// scram is the verifier; that of a plain password is derived once.
func (s Secret) scram() verifier {
	if s.kind() == plain {
		return s.held().derived()
	}
	return s.held().verifier
}

// scramKeys are the keys for one salt and iteration count.
type scramKeys struct {
	salt       []byte
	iterations int
	client     []byte
	server     []byte
}

// keysFor derives the keys of a plain password and keeps the last ones. Every node
// stores the same verifier, so logging in again costs no PBKDF2. Learnt keys are valid
// only for the verifier from which they were learnt.
func (s Secret) keysFor(salt []byte, iterations int) (k scramKeys, ok bool) {
	h := s.held()
	h.mu.Lock()
	defer h.mu.Unlock()
	same := h.keys.iterations == iterations && bytes.Equal(h.keys.salt, salt)
	if !same && h.kind == plain {
		h.keys, same = deriveKeys(h.text, salt, iterations), true
	}
	return h.keys, same
}

// learn makes a secret of a verifier and a ClientKey that matches it. It can log in to
// servers that store the same verifier (RFC 5802, section 3).
func (s Secret) learn(clientKey []byte) Secret {
	v := s.held().verifier
	return newSecret(&held{kind: learnt, user: s.held().user, verifier: v,
		keys: scramKeys{salt: v.salt, iterations: v.iterations, client: clientKey, server: v.serverKey}})
}

// proved notes the right password for a verifier, and provedBefore recognizes it again.
func (s Secret) proved(password string) {
	s.held().mu.Lock()
	defer s.held().mu.Unlock()
	s.held().right = keyed("right", password)
}

func (s Secret) provedBefore(password string) bool {
	s.held().mu.Lock()
	defer s.held().mu.Unlock()
	return equal(s.held().right, keyed("right", password))
}

func md5Hex(parts ...string) string {
	h := md5.New()
	for _, part := range parts {
		h.Write([]byte(part))
	}
	return hex.EncodeToString(h.Sum(nil))
}
