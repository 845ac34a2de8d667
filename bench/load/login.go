package load

import (
	"crypto/hmac"
	"crypto/pbkdf2"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"strconv"
	"strings"
)

const protocol30 = 3 << 16

// Kinds of an Authentication message.
const (
	authOK       = 0
	authSASL     = 10
	authContinue = 11
	authFinal    = 12
)

// login is a start-up message and SCRAM-SHA-256 (RFC 5802, 7677), or no authentication
// at all. It does not check the server's own proof, which does not matter here.
func (c *Conn) login(target Target) error {
	body := binary.BigEndian.AppendUint32(nil, protocol30)
	for _, word := range []string{"user", target.User, "database", target.Database, "application_name", "bench"} {
		body = append(append(body, word...), 0)
	}
	body = append(body, 0)
	startup := append(binary.BigEndian.AppendUint32(nil, uint32(len(body)+4)), body...)
	if err := c.send(startup); err != nil {
		return err
	}
	proof := scram{password: target.User}
	for ready := false; !ready; {
		bytes, err := c.read()
		if err != nil {
			return err
		}
		err = c.heads.walk(bytes, func(kind byte, body []byte) error {
			switch kind {
			case 'E':
				return serverError(body)
			case 'R':
				return c.answer(&proof, body)
			case 'Z':
				ready = true
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

func (c *Conn) answer(proof *scram, body []byte) error {
	if len(body) < 4 {
		return errors.New("read Authentication: too short")
	}
	rest := string(body[4:])
	switch asked := binary.BigEndian.Uint32(body); asked {
	case authOK, authFinal:
		return nil
	case authSASL:
		first, err := proof.first()
		if err != nil {
			return err
		}
		initial := append([]byte("SCRAM-SHA-256\x00"), binary.BigEndian.AppendUint32(nil, uint32(len(first)))...)
		return c.send(message('p', append(initial, first...)))
	case authContinue:
		final, err := proof.final(rest)
		if err != nil {
			return err
		}
		return c.send(message('p', []byte(final)))
	default:
		return fmt.Errorf("log in: method %d is asked for", asked)
	}
}

type scram struct{ password, bare string }

func (s *scram) first() (string, error) {
	nonce := make([]byte, 18)
	if _, err := rand.Read(nonce); err != nil {
		return "", err
	}
	s.bare = "n=,r=" + base64.StdEncoding.EncodeToString(nonce)
	return "n,," + s.bare, nil
}

// final answers r=NONCE,s=SALT,i=ITERATIONS.
func (s *scram) final(challenge string) (string, error) {
	fields := map[string]string{}
	for part := range strings.SplitSeq(challenge, ",") {
		name, value, _ := strings.Cut(part, "=")
		fields[name] = value
	}
	salt, err := base64.StdEncoding.DecodeString(fields["s"])
	if err != nil {
		return "", fmt.Errorf("read SCRAM salt: %w", err)
	}
	rounds, err := strconv.Atoi(fields["i"])
	if err != nil {
		return "", fmt.Errorf("read SCRAM iterations: %w", err)
	}
	salted, err := pbkdf2.Key(sha256.New, s.password, salt, rounds, sha256.Size)
	if err != nil {
		return "", err
	}
	plain := "c=biws,r=" + fields["r"]
	key := mac(salted, "Client Key")
	stored := sha256.Sum256(key)
	proof := mac(stored[:], s.bare+","+challenge+","+plain)
	for i := range proof {
		proof[i] ^= key[i]
	}
	return plain + ",p=" + base64.StdEncoding.EncodeToString(proof), nil
}

func mac(key []byte, text string) []byte {
	h := hmac.New(sha256.New, key)
	h.Write([]byte(text))
	return h.Sum(nil)
}
