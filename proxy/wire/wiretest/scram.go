package wiretest

import (
	"crypto/hmac"
	"crypto/pbkdf2"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"strconv"
	"strings"

	"pgherd/proxy/wire"
)

// mechanism is RFC 7677, without channel binding.
const mechanism = "SCRAM-SHA-256"

// attributes are "r=x,s=y" by their letter (RFC 5802, section 5.1).
func attributes(message string) map[string]string {
	all := map[string]string{}
	for pair := range strings.SplitSeq(message, ",") {
		if name, value, found := strings.Cut(pair, "="); found {
			all[name] = value
		}
	}
	return all
}

// proofs are what both sides derive from the password (RFC 5802, section 3).
func proofs(password, salt string, rounds int, transcript string) (client, server []byte, err error) {
	salted, err := pbkdf2.Key(sha256.New, password, []byte(salt), rounds, sha256.Size)
	if err != nil {
		return nil, nil, err
	}
	key := keyed(salted, "Client Key")
	stored := sha256.Sum256(key)
	client = keyed(stored[:], transcript)
	for i := range client {
		client[i] ^= key[i]
	}
	return client, keyed(keyed(salted, "Server Key"), transcript), nil
}

func keyed(key []byte, message string) []byte {
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(message))
	return mac.Sum(nil)
}

var encode, decode = base64.StdEncoding.EncodeToString, base64.StdEncoding.DecodeString

func serveSCRAM(p *player, _, password string) error {
	body, err := p.ask(wire.AppendAuthenticationSASL(nil, mechanism))
	if err != nil {
		return err
	}
	v, err := wire.ViewSASLInitialResponse(body)
	if err != nil || string(v.Mechanism) != mechanism {
		return fmt.Errorf("the mechanism %q, %w", v.Mechanism, err)
	}
	// "n,,n=,r=nonce": what stands before the second comma is about channel binding.
	parts := strings.SplitN(string(v.Data), ",", 3)
	if len(parts) != 3 || parts[0] != "n" && parts[0] != "y" || attributes(parts[2])["r"] == "" {
		return fmt.Errorf("the SASLInitialResponse %q", []byte(v.Data))
	}
	salt := rand.Text()
	nonce := attributes(parts[2])["r"] + rand.Text()
	challenge := "r=" + nonce + ",s=" + encode([]byte(salt)) + ",i=" + strconv.Itoa(scramRounds)
	if body, err = p.ask(wire.AppendAuthenticationSASLContinue(nil, wire.Secret(challenge))); err != nil {
		return err
	}
	unproved, proof, _ := strings.Cut(string(body), ",p=")
	if unproved != "c="+encode([]byte(parts[0]+","+parts[1]+","))+",r="+nonce {
		return fmt.Errorf("the SASLResponse %q", body)
	}
	client, server, err := proofs(password, salt, scramRounds, parts[2]+","+challenge+","+unproved)
	if err != nil {
		return err
	}
	if proof != encode(client) {
		return errWrongPassword
	}
	return p.send(wire.AppendAuthenticationSASLFinal(nil, wire.Secret("v="+encode(server))))
}

func sendSCRAM(p *player, _, password string) error {
	v, err := p.asked(wire.AuthSASL)
	if err != nil {
		return err
	}
	if !offers(v.Mechanisms, mechanism) {
		return fmt.Errorf("AuthenticationSASL %s", line(texts(v.Mechanisms)))
	}
	bare := "n=,r=" + rand.Text()
	if err := p.send(wire.AppendSASLInitialResponse(nil, mechanism, wire.Secret("n,,"+bare))); err != nil {
		return err
	}
	if v, err = p.asked(wire.AuthSASLContinue); err != nil {
		return err
	}
	challenge := string(v.Data)
	has := attributes(challenge)
	rounds, err1 := strconv.Atoi(has["i"])
	salt, err2 := decode(has["s"])
	if err1 != nil || err2 != nil || !strings.HasPrefix(has["r"], attributes(bare)["r"]) {
		return fmt.Errorf("the AuthenticationSASLContinue %q", challenge)
	}
	unproved := "c=" + encode([]byte("n,,")) + ",r=" + has["r"]
	client, server, err := proofs(password, string(salt), rounds, bare+","+challenge+","+unproved)
	if err != nil {
		return err
	}
	return p.prove(unproved+",p="+encode(client), server)
}

// prove sends the client's proof and checks the server's, unless the next
// step is to be a refusal.
func (p *player) prove(response string, server []byte) error {
	if err := p.send(wire.AppendSASLResponse(nil, wire.Secret(response))); err != nil {
		return err
	}
	if p.refused {
		return nil
	}
	v, err := p.asked(wire.AuthSASLFinal)
	if err == nil && string(v.Data) != "v="+encode(server) {
		err = errWrongPassword
	}
	return err
}

func offers(t wire.Texts, name string) bool {
	for one := range t.All() {
		if string(one) == name {
			return true
		}
	}
	return false
}
