package certs

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/des"
	"crypto/pbkdf2"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/pem"
	"errors"
	"fmt"
	"hash"
	"os"
	"os/exec"
	"strings"
	"time"
)

// passphraseTimeout is how long ssl_passphrase_command may take.
const passphraseTimeout = 30 * time.Second

// readKey reads a private key in PEM, and decrypts an encrypted one with the output of
// the passphrase command.
func readKey(file, passphraseCommand string) ([]byte, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("read TLS key: %w", err)
	}
	block, _ := pem.Decode(text)
	switch {
	case block != nil && block.Headers["DEK-Info"] != "":
		return nil, fmt.Errorf("read TLS key %s: its old form of encryption is not supported, convert it by openssl pkcs8 -topk8", file)
	case block == nil || block.Type != "ENCRYPTED PRIVATE KEY":
		return text, nil
	case passphraseCommand == "":
		return nil, fmt.Errorf("read TLS key %s: it is encrypted and ssl_passphrase_command is not set", file)
	}
	passphrase, err := askPassphrase(passphraseCommand)
	if err != nil {
		return nil, err
	}
	der, err := decryptPKCS8(block.Bytes, passphrase)
	if err != nil {
		return nil, fmt.Errorf("read TLS key %s: %w", file, err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), nil
}

// askPassphrase runs the command, in which %p is a prompt and %% a percent sign. The
// first line of its output is the passphrase.
func askPassphrase(command string) (string, error) {
	command = strings.NewReplacer("%%", "%", "%p", "'Passphrase of the TLS key: '").Replace(command)
	ctx, cancel := context.WithTimeout(context.Background(), passphraseTimeout)
	defer cancel()
	out, err := exec.CommandContext(ctx, "/bin/sh", "-c", command).Output()
	if err != nil {
		return "", fmt.Errorf("run ssl_passphrase_command: %w", err) // Output is not part of it (I9)
	}
	line, _, _ := strings.Cut(string(out), "\n")
	return strings.TrimSuffix(line, "\r"), nil
}

// How PKCS#8 keys are encrypted, in the only scheme that OpenSSL 3 writes: PBES2 with
// PBKDF2 (RFC 8018, appendix A).
type (
	encryptedKey struct {
		Scheme    pkix.AlgorithmIdentifier
		Encrypted []byte
	}
	pbes2 struct{ Derivation, Encryption pkix.AlgorithmIdentifier }
	kdf   struct {
		Salt       []byte
		Iterations int
		KeyLen     int                      `asn1:"optional"`
		PRF        pkix.AlgorithmIdentifier `asn1:"optional"`
	}
	keyCipher struct {
		keyLen int
		make   func(key []byte) (cipher.Block, error)
	}
)

var (
	oidPBES2  = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 5, 13}
	oidPBKDF2 = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 5, 12}

	// keyCiphers are AES-CBC with keys of 128, 192 and 256 bits, and triple DES, which
	// openssl req still uses.
	keyCiphers = map[string]keyCipher{
		"2.16.840.1.101.3.4.1.2":  {16, aes.NewCipher},
		"2.16.840.1.101.3.4.1.22": {24, aes.NewCipher},
		"2.16.840.1.101.3.4.1.42": {32, aes.NewCipher},
		"1.2.840.113549.3.7":      {24, des.NewTripleDESCipher},
	}
	// prfs are HMAC with SHA-1 (the default), SHA-256 and SHA-512.
	prfs = map[string]func() hash.Hash{"": sha1.New, "1.2.840.113549.2.7": sha1.New,
		"1.2.840.113549.2.9": sha256.New, "1.2.840.113549.2.11": sha512.New}

	errKeyScheme = errors.New("its encryption is not supported: want PBES2 with PBKDF2 and AES or triple DES")
	errKeyWrong  = errors.New("it cannot be decrypted: wrong passphrase")
)

const maxKeyIterations = 1_000_000 // under a second

func decryptPKCS8(der []byte, passphrase string) ([]byte, error) {
	var sealed encryptedKey
	var scheme pbes2
	var derive kdf
	var iv []byte
	_, err := asn1.Unmarshal(der, &sealed)
	if err == nil {
		_, err = asn1.Unmarshal(sealed.Scheme.Parameters.FullBytes, &scheme)
	}
	if err != nil {
		return nil, errKeyScheme
	}
	if !sealed.Scheme.Algorithm.Equal(oidPBES2) || !scheme.Derivation.Algorithm.Equal(oidPBKDF2) {
		return nil, errKeyScheme
	}
	_, err1 := asn1.Unmarshal(scheme.Derivation.Parameters.FullBytes, &derive)
	_, err2 := asn1.Unmarshal(scheme.Encryption.Parameters.FullBytes, &iv)
	prf, by := prfs[derive.PRF.Algorithm.String()], keyCiphers[scheme.Encryption.Algorithm.String()]
	if err1 != nil || err2 != nil || prf == nil || by.keyLen == 0 ||
		derive.Iterations < 1 || derive.Iterations > maxKeyIterations {
		return nil, errKeyScheme
	}
	key, err := pbkdf2.Key(prf, passphrase, derive.Salt, derive.Iterations, by.keyLen)
	if err != nil {
		return nil, errKeyScheme
	}
	block, err := by.make(key)
	if err != nil || len(iv) != block.BlockSize() {
		return nil, errKeyScheme
	}
	text, err := openCBC(block, iv, sealed.Encrypted)
	if err != nil {
		return nil, err
	}
	// The padding alone looks right for one wrong passphrase in sixteen.
	var whole asn1.RawValue
	if rest, err := asn1.Unmarshal(text, &whole); err != nil || len(rest) > 0 {
		return nil, errKeyWrong
	}
	return text, nil
}

// openCBC decrypts and removes the padding.
func openCBC(block cipher.Block, iv, sealed []byte) ([]byte, error) {
	size := block.BlockSize()
	if len(sealed) == 0 || len(sealed)%size != 0 {
		return nil, errKeyWrong
	}
	text := make([]byte, len(sealed))
	cipher.NewCBCDecrypter(block, iv).CryptBlocks(text, sealed)
	pad := int(text[len(text)-1])
	if pad < 1 || pad > size {
		return nil, errKeyWrong
	}
	return text[:len(text)-pad], nil
}
