package auth

import (
	"errors"
	"fmt"
	"os"
	"strings"
)

// maxPasswdFile limits the bytes of pool_passwd and of the key file.
const maxPasswdFile = 64 << 20

// Passwd is pool_passwd, an immutable snapshot. A nil Passwd has no users.
type Passwd struct{ secrets map[string]Secret }

// Find is the user's secret; empty if there is none.
func (p *Passwd) Find(user string) Secret {
	if p == nil {
		return Secret{}
	}
	return p.secrets[user]
}

// Len is how many users there are.
func (p *Passwd) Len() int {
	if p == nil {
		return 0
	}
	return len(p.secrets)
}

// Warm derives the SCRAM verifiers of plain passwords before the first log-in (about a
// millisecond each), which then takes no longer than that of an unknown user. It
// returns early once stopped returns true.
func (p *Passwd) Warm(stopped func() bool) {
	if p == nil {
		return
	}
	for _, s := range p.secrets {
		if stopped() {
			return
		}
		s.scram()
	}
}

// LoadPasswd reads pool_passwd. A missing file is one without entries, as it
// is for Pgpool-II. key decrypts AES entries; see ReadKey.
func LoadPasswd(path, key string) (*Passwd, error) {
	text, err := readLimited(path, maxPasswdFile)
	if errors.Is(err, os.ErrNotExist) {
		return &Passwd{}, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read pool_passwd: %w", err)
	}
	return parsePasswd(path, text, key)
}

// ReadKey reads the first line of the key file of AES entries.
func ReadKey(path string) (string, error) {
	text, err := readLimited(path, maxPasswdFile)
	if err != nil {
		return "", fmt.Errorf("read key file: %w", err)
	}
	line, _, _ := strings.Cut(text, "\n")
	return line, nil
}

// ParsePasswd reads the lines "user:secret". It ignores empty lines and those that
// begin with #. Of several lines for a user the first one applies. It reports every
// line that is wrong, by its number and never by its text.
func ParsePasswd(text, key string) (*Passwd, error) { return parsePasswd("pool_passwd", text, key) }

func parsePasswd(path, text, key string) (*Passwd, error) {
	p := &Passwd{secrets: make(map[string]Secret)}
	var errs []error
	number := 0
	for line := range strings.Lines(text) {
		number++
		line = strings.TrimRight(line, "\r\n")
		if line == "" || line[0] == '#' {
			continue
		}
		user, secret, err := parseEntry(line, key)
		if err != nil {
			errs = append(errs, place{path, number}.wrong(err))
			continue
		}
		if _, twice := p.secrets[user]; !twice {
			p.secrets[user] = secret
		}
	}
	if len(errs) > 0 {
		return nil, errors.Join(errs...)
	}
	return p, nil
}

func parseEntry(line, key string) (user string, s Secret, err error) {
	user, rest, found := cutColon(line)
	switch {
	case !found:
		return "", s, errors.New("want user:secret")
	case user == "":
		return "", s, errors.New("the user is missing")
	case strings.IndexByte(line, 0) >= 0:
		return "", s, errors.New("there is a zero byte")
	case strings.HasPrefix(rest, scramName+"$"): // the secret itself has colons
		s, err = parseSecret(user, rest, key)
		return user, s, err
	}
	text, _, more := cutColon(rest)
	if more {
		return "", s, errors.New(`a third field: write ":" inside a password as "\:" (another user for the server is not supported)`)
	}
	if text == "" {
		return "", s, errors.New("the secret is missing")
	}
	s, err = parseSecret(user, text, key)
	return user, s, err
}

// parseSecret tells the kinds apart by their prefixes, as Pgpool-II does.
func parseSecret(user, text, key string) (Secret, error) {
	switch {
	case isMD5(text):
		return newSecret(&held{kind: md5Hash, user: user, text: text}), nil
	case strings.HasPrefix(text, "TEXT"):
		return notEmpty(PlainSecret(user, text[len("TEXT"):]))
	case strings.HasPrefix(text, "AES"):
		password, err := decryptAES(text[len("AES"):], key)
		if err != nil {
			return Secret{}, err
		}
		return notEmpty(PlainSecret(user, password))
	case strings.HasPrefix(text, scramName+"$"):
		v, err := parseVerifier(text)
		if err != nil {
			return Secret{}, fmt.Errorf("SCRAM verifier: %w", err)
		}
		return newSecret(&held{kind: verified, user: user, verifier: v}), nil
	}
	return PlainSecret(user, text), nil
}

// isMD5 says that text is an md5 hash as PostgreSQL stores it. Anything else that
// begins with "md5" is a password.
func isMD5(text string) bool {
	digits, ok := strings.CutPrefix(text, "md5")
	return ok && len(digits) == 32 && strings.Trim(digits, "0123456789abcdef") == ""
}

func notEmpty(s Secret) (Secret, error) {
	if s.Plain() == "" {
		return Secret{}, errors.New("the password is empty")
	}
	return s, nil
}

// cutColon cuts at the first colon that no backslash escapes, and removes the
// backslashes from what precedes it.
func cutColon(line string) (before, after string, found bool) {
	var b strings.Builder
	for i := 0; i < len(line); i++ {
		switch {
		case line[i] == '\\' && i+1 < len(line):
			i++
			b.WriteByte(line[i])
		case line[i] == ':':
			return b.String(), line[i+1:], true
		default:
			b.WriteByte(line[i])
		}
	}
	return b.String(), "", false
}

func readLimited(path string, longest int64) (string, error) {
	info, err := os.Stat(path)
	if err != nil {
		return "", err
	}
	if info.Size() > longest {
		return "", fmt.Errorf("%s is longer than %d bytes", path, longest)
	}
	text, err := os.ReadFile(path)
	return string(text), err
}
