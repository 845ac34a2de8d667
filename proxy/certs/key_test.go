package certs

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/pbkdf2"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/pem"
	"os"

	"pgherd/proxy/certs/certstest"
)

// prfOIDs are the pseudo-random functions by name. sha1 is the default, which the file omits.
var prfOIDs = map[string]asn1.ObjectIdentifier{"sha1": nil,
	"sha256": {1, 2, 840, 113549, 2, 9}, "sha512": {1, 2, 840, 113549, 2, 11}}

// sealPKCS8 encrypts a key as openssl pkcs8 -topk8 -v2 aes-256-cbc does.
func sealPKCS8(key []byte, passphrase, prf string) []byte {
	salt, iv := []byte("8 bytes!"), []byte("sixteen bytes iv")
	d := kdf{Salt: salt, Iterations: 10, PRF: pkix.AlgorithmIdentifier{Algorithm: prfOIDs[prf]}}
	secret, err := pbkdf2.Key(prfs[prfOIDs[prf].String()], passphrase, salt, d.Iterations, 32)
	must(err)
	block, err := aes.NewCipher(secret)
	must(err)
	pad := aes.BlockSize - len(key)%aes.BlockSize
	text := append(bytes.Clone(key), bytes.Repeat([]byte{byte(pad)}, pad)...)
	cipher.NewCBCEncrypter(block, iv).CryptBlocks(text, text)
	scheme := pbes2{
		Derivation: pkix.AlgorithmIdentifier{Algorithm: oidPBKDF2, Parameters: raw(deriveParams(d))},
		Encryption: pkix.AlgorithmIdentifier{Algorithm: asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 1, 42}, Parameters: raw(iv)},
	}
	der, err := asn1.Marshal(encryptedKey{Scheme: pkix.AlgorithmIdentifier{Algorithm: oidPBES2, Parameters: raw(scheme)}, Encrypted: text})
	must(err)
	return der
}

// deriveParams omits the default function, as it must.
func deriveParams(d kdf) any {
	if d.PRF.Algorithm == nil {
		return struct {
			Salt       []byte
			Iterations int
		}{d.Salt, d.Iterations}
	}
	return d
}

func raw(v any) asn1.RawValue {
	der, err := asn1.Marshal(v)
	must(err)
	return asn1.RawValue{FullBytes: der}
}

func must(err error) {
	if err != nil {
		panic(err)
	}
}

// encrypted encrypts localhost.key, and returns the path of the result.
func encrypted(a *certstest.Authority, passphrase, prf string) string {
	text, err := os.ReadFile(a.Path("localhost.key"))
	must(err)
	block, _ := pem.Decode(text)
	a.Write("sealed-"+prf+".key", "ENCRYPTED PRIVATE KEY", sealPKCS8(block.Bytes, passphrase, prf))
	return a.Path("sealed-" + prf + ".key")
}
