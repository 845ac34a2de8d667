package auth

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
)

// processKey makes salts and tags that have no meaning outside this process.
var processKey = func() (key [32]byte) {
	rand.Read(key[:]) // never fails: it ends the program instead
	return key
}()

// keyed is HMAC-SHA-256 of the parts under processKey; purpose keeps the uses apart.
func keyed(purpose string, parts ...string) []byte {
	mac := hmac.New(sha256.New, processKey[:])
	mac.Write([]byte(purpose))
	for _, part := range parts {
		mac.Write([]byte{0})
		mac.Write([]byte(part))
	}
	return mac.Sum(nil)
}

// Sharing says, beside database, user and parameters, which pooled servers
// the client may be given: those of clients with an equal Sharing. Without it
// a client that proved nothing could be handed a server that was opened with
// somebody's password (I1).
//
//   - Here is "": whoever our own rules accept as a user is that user, and
//     the servers were opened with the one secret stored for it.
//   - Nobody: servers that PostgreSQL itself let in without a secret.
//   - Server: servers that PostgreSQL accepted this very password for. A
//     wrong password meets no such server, so it must open one, which fails.
//     Still, a pooled server outlives ALTER ROLE ... PASSWORD, VALID UNTIL or
//     DROP ROLE; so the login opens a fresh one each time and lets PostgreSQL
//     judge before the client may have a pooled one.
//
// It shows neither the password nor, outside this process, whether two are equal.
func (g Grant) Sharing(user string) string {
	switch g.Proof {
	case Here:
		return ""
	case Server:
		return "password " + hex.EncodeToString(keyed("sharing", user, g.Secret.Plain()))
	default:
		return "no proof"
	}
}
