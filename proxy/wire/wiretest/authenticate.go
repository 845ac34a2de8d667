package wiretest

import (
	"crypto/md5"
	"crypto/subtle"
	"encoding/hex"
	"errors"
	"fmt"

	"pgherd/proxy/wire"
)

// exchange is an authentication: what both sides do with a password. user is
// empty where the method does not need it.
type exchange struct {
	server, client func(p *player, user, password string) error
	words          int // after the method's name
}

var exchanges = map[string]exchange{
	"password":      {servePassword, sendPassword, 1},
	"md5":           {serveMD5, sendMD5, 2},
	"scram-sha-256": {serveSCRAM, sendSCRAM, 1},
}

// errWrongPassword is what a server finds, or a client about a server's proof.
var errWrongPassword = errors.New("the password is wrong")

func (s *step) prepareAuthenticate() error {
	if s.side != Server || len(s.words) == 0 {
		return fmt.Errorf(`"S: authenticate METHOD ..." is wanted`)
	}
	e, found := exchanges[s.words[0].text]
	if !found {
		return fmt.Errorf("authenticate: unknown method %v", s.words[0])
	}
	rest := s.words[1:]
	if s.refuses() {
		rest = rest[:len(rest)-1]
	}
	if len(rest) != e.words {
		return fmt.Errorf("authenticate %v wants %d words, not %d", s.words[0], e.words, len(rest))
	}
	return nil
}

// refuses says that the password is meant to be wrong.
func (s *step) refuses() bool {
	return len(s.words) > 2 && s.words[len(s.words)-1] == word{text: "refuse"}
}

func (p *player) authenticate(s *step) error {
	e := exchanges[s.words[0].text]
	user, password := "", s.words[e.words].text
	if e.words == 2 {
		user = s.words[1].text
	}
	play := e.client
	if p.side == Server {
		play = e.server
	}
	p.refused = s.refuses()
	err := play(p, user, password)
	switch {
	case p.refused && p.side == Server && err == nil:
		return wanted(s, "the right password")
	case p.refused && p.side == Server && errors.Is(err, errWrongPassword):
		return nil
	case err != nil && !errors.Is(err, ErrDied):
		return wanted(s, err.Error())
	}
	return err
}

// ask sends a message of ours and reads the other side's answer to it.
func (p *player) ask(question []byte) (body []byte, err error) {
	if err := p.send(question); err != nil {
		return nil, err
	}
	tag, body, err := p.read(false)
	if err == nil && tag != wire.Password.Tag() {
		err = fmt.Errorf("a message of type %q", tag)
	}
	return body, err
}

// asked reads what a server asks for.
func (p *player) asked(code wire.AuthCode) (v wire.AuthenticationView, err error) {
	tag, body, err := p.read(false)
	if err != nil {
		return v, err
	}
	m, words, err := identify(Server, tag, body, nil)
	if err != nil {
		return v, err
	}
	if v, err = wire.ViewAuthentication(body); tag != wire.Authentication.Tag() || err != nil || v.Code != code {
		return v, errors.New((&step{side: Server, message: m, words: words}).String())
	}
	return v, nil
}

func checkPassword(body []byte, want string) error {
	v, err := wire.ViewPassword(body)
	if err == nil && subtle.ConstantTimeCompare(v.Password, []byte(want)) == 0 {
		err = errWrongPassword
	}
	return err
}

func servePassword(p *player, _, password string) error {
	body, err := p.ask(wire.AppendAuthenticationCleartextPassword(nil))
	if err != nil {
		return err
	}
	return checkPassword(body, password)
}

func sendPassword(p *player, _, password string) error {
	if _, err := p.asked(wire.AuthCleartextPassword); err != nil {
		return err
	}
	return p.send(wire.AppendPassword(nil, password))
}

var salt = [4]byte{1, 0, 0xff, 7} // a zero in it, to be awkward

func serveMD5(p *player, user, password string) error {
	body, err := p.ask(wire.AppendAuthenticationMD5Password(nil, salt))
	if err != nil {
		return err
	}
	return checkPassword(body, hashMD5(user, password, salt))
}

func sendMD5(p *player, user, password string) error {
	v, err := p.asked(wire.AuthMD5Password)
	if err != nil {
		return err
	}
	return p.send(wire.AppendPassword(nil, hashMD5(user, password, v.Salt)))
}

func hashMD5(user, password string, salt [4]byte) string {
	inner := md5.Sum([]byte(password + user))
	outer := md5.Sum(append([]byte(hex.EncodeToString(inner[:])), salt[:]...))
	return "md5" + hex.EncodeToString(outer[:])
}
