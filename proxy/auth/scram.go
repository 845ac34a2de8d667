package auth

import (
	"bytes"
	"crypto/hmac"
	"crypto/pbkdf2"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"strconv"
	"strings"
)

// SCRAM-SHA-256: RFC 5802 and RFC 7677, as PostgreSQL's manual applies them
// ("SASL Authentication").
const (
	scramName = "SCRAM-SHA-256"
	// ownIterations is PostgreSQL's default, for verifiers that pgherd derives.
	ownIterations = 4096
	// maxIterations bounds what another side can make pgherd compute: about a quarter
	// of a second.
	maxIterations = 1_000_000
	maxSaltLen    = 1024 // bytes
	nonceLen      = 18   // bytes of randomness, as PostgreSQL's
)

// verifier authenticates a client without the password.
type verifier struct {
	iterations           int
	salt                 []byte
	storedKey, serverKey []byte
}

// parseVerifier reads PostgreSQL's format:
// SCRAM-SHA-256$<iterations>:<salt>$<StoredKey>:<ServerKey>.
func parseVerifier(text string) (v verifier, err error) {
	fields := strings.FieldsFunc(text, func(r rune) bool { return r == '$' || r == ':' })
	if len(fields) != 5 || fields[0] != scramName {
		return v, fmt.Errorf("want SCRAM-SHA-256$iterations:salt$StoredKey:ServerKey")
	}
	if v.iterations, err = parseIterations(fields[1]); err != nil {
		return verifier{}, err
	}
	for i, dst := range []*[]byte{&v.salt, &v.storedKey, &v.serverKey} {
		if *dst, err = base64.StdEncoding.Strict().DecodeString(fields[2+i]); err != nil {
			return verifier{}, fmt.Errorf("field %d is not base64", 3+i)
		}
	}
	if len(v.storedKey) != sha256.Size || len(v.serverKey) != sha256.Size || len(v.salt) == 0 || len(v.salt) > maxSaltLen {
		return verifier{}, fmt.Errorf("salt or keys have the wrong length")
	}
	if fmt.Sprintf("%s$%d:%s$%s:%s", scramName, v.iterations, fields[2], fields[3], fields[4]) != text {
		return verifier{}, fmt.Errorf("separators are out of place")
	}
	return v, nil
}

func parseIterations(s string) (int, error) {
	n, err := strconv.Atoi(s)
	if err != nil || n < 1 || n > maxIterations || strconv.Itoa(n) != s {
		return 0, fmt.Errorf("iterations must be 1 to %d", maxIterations)
	}
	return n, nil
}

// deriveVerifier makes the verifier of a plain password. Its salt stays the same for
// the life of this process, as a stored one would.
func deriveVerifier(user, password string) verifier {
	k := deriveKeys(password, mockSalt(user), ownIterations)
	return verifier{iterations: k.iterations, salt: k.salt, storedKey: storedKey(k.client), serverKey: k.server}
}

// mockVerifier stands in for that of an unknown user; nothing matches it.
func mockVerifier(user string) verifier {
	return verifier{iterations: ownIterations, salt: mockSalt(user),
		storedKey: keyed("mock stored key", user), serverKey: keyed("mock server key", user)}
}

func mockSalt(user string) []byte { return keyed("salt", user)[:16] }

// deriveKeys is the costly part: PBKDF2, and then ClientKey and ServerKey.
func deriveKeys(password string, salt []byte, iterations int) scramKeys {
	salted, err := pbkdf2.Key(sha256.New, prepare(password), salt, iterations, sha256.Size)
	if err != nil { // only in FIPS-only mode, for short salts or keys
		panic("derive SCRAM keys: " + err.Error())
	}
	return scramKeys{salt: bytes.Clone(salt), iterations: iterations,
		client: sign(salted, "Client Key"), server: sign(salted, "Server Key")}
}

// storedKey is the part of a ClientKey that a verifier has.
func storedKey(clientKey []byte) []byte {
	sum := sha256.Sum256(clientKey)
	return sum[:]
}

func sign(key []byte, message string) []byte {
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(message))
	return mac.Sum(nil)
}

func xor(a, b []byte) []byte {
	out := make([]byte, len(a))
	for i := range out {
		out[i] = a[i] ^ b[i]
	}
	return out
}

func newNonce() string {
	raw := make([]byte, nonceLen)
	rand.Read(raw)
	return base64.StdEncoding.EncodeToString(raw)
}

// printable says that s may be a nonce: printable ASCII without a comma.
func printable(s string) bool {
	for i := range len(s) {
		if s[i] < 0x21 || s[i] > 0x7e || s[i] == ',' {
			return false
		}
	}
	return s != ""
}

// attribute removes "name=value" from the front of a message in which commas separate
// them.
func attribute(message string, name byte) (value, rest string, ok bool) {
	if len(message) < 2 || message[0] != name || message[1] != '=' {
		return "", message, false
	}
	value, rest, _ = strings.Cut(message[2:], ",")
	return value, rest, true
}
