package auth

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/sha1"
	"encoding/base64"
	"errors"
)

// errAES says as much as may be said, because naming the part that failed would help
// somebody who guesses.
var errAES = errors.New("the AES entry cannot be decrypted: wrong key file, or not what pg_enc writes")

// decryptAES decrypts what Pgpool-II's pg_enc has written: base64 of AES-256-CBC with
// PKCS#7 padding.
func decryptAES(encoded, key string) (string, error) {
	if key == "" {
		return "", errors.New("an AES entry needs the key file")
	}
	sealed, err := base64.StdEncoding.DecodeString(encoded)
	if err != nil || len(sealed) == 0 || len(sealed)%aes.BlockSize != 0 {
		return "", errAES
	}
	block, iv := passwordCipher(key)
	cipher.NewCBCDecrypter(block, iv).CryptBlocks(sealed, sealed)
	pad := int(sealed[len(sealed)-1])
	if pad < 1 || pad > aes.BlockSize {
		return "", errAES
	}
	for _, b := range sealed[len(sealed)-pad:] {
		if int(b) != pad {
			return "", errAES
		}
	}
	return string(sealed[:len(sealed)-pad]), nil
}

// EncryptAES is the inverse, for pg_enc: a pool_passwd entry of password.
func EncryptAES(password, key string) string {
	block, iv := passwordCipher(key)
	text := []byte(password)
	pad := aes.BlockSize - len(text)%aes.BlockSize
	for range pad {
		text = append(text, byte(pad))
	}
	cipher.NewCBCEncrypter(block, iv).CryptBlocks(text, text)
	return "AES" + base64.StdEncoding.EncodeToString(text)
}

// passwordCipher derives key and vector as OpenSSL's EVP_BytesToKey does with
// SHA-1, no salt and one round.
func passwordCipher(key string) (cipher.Block, []byte) {
	const keyLen = 32
	var derived, digest []byte
	for len(derived) < keyLen+aes.BlockSize {
		sum := sha1.Sum(append(digest, key...))
		digest = sum[:]
		derived = append(derived, digest...)
	}
	block, err := aes.NewCipher(derived[:keyLen])
	if err != nil {
		panic("make AES cipher: " + err.Error()) // the length is right
	}
	return block, derived[keyLen : keyLen+aes.BlockSize]
}
