package certs

import (
	"crypto/tls"
	"log/slog"
	"slices"
	"strings"
)

// opensslNames are OpenSSL's names for the TLS 1.2 suites that Go has and regards as
// secure. TLS 1.3 suites cannot be chosen, neither in OpenSSL's list nor in Go.
var opensslNames = map[string]uint16{
	"ECDHE-ECDSA-AES128-GCM-SHA256": tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
	"ECDHE-ECDSA-AES256-GCM-SHA384": tls.TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
	"ECDHE-ECDSA-CHACHA20-POLY1305": tls.TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256,
	"ECDHE-RSA-AES128-GCM-SHA256":   tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
	"ECDHE-RSA-AES256-GCM-SHA384":   tls.TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
	"ECDHE-RSA-CHACHA20-POLY1305":   tls.TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
	"ECDHE-ECDSA-AES128-SHA":        tls.TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA,
	"ECDHE-ECDSA-AES256-SHA":        tls.TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA,
	"ECDHE-RSA-AES128-SHA":          tls.TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA,
	"ECDHE-RSA-AES256-SHA":          tls.TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA,
}

// cipherSuites reads ssl_ciphers as far as Go can follow it: suites that are named one
// by one are used, those excluded by ! or - are not. For groups such as HIGH it returns
// Go's own choice (nil).
func cipherSuites(list string, log *slog.Logger) (chosen []uint16) {
	var banned []uint16
	for _, word := range strings.FieldsFunc(list, func(r rune) bool { return strings.ContainsRune(":, ", r) }) {
		name := strings.TrimLeft(word, "!-+")
		suite, known := opensslNames[name]
		switch {
		case known && strings.ContainsAny(word[:1], "!-"):
			banned = append(banned, suite)
		case known:
			chosen = append(chosen, suite)
		case strings.Contains(name, "-"):
			log.Warn("ssl_ciphers names a suite that pgherd does not have", "suite", name)
		}
	}
	if chosen == nil && banned != nil {
		for _, suite := range tls.CipherSuites() {
			chosen = append(chosen, suite.ID)
		}
	}
	return slices.DeleteFunc(chosen, func(s uint16) bool { return slices.Contains(banned, s) })
}

// curveNames maps OpenSSL's names of curves.
var curveNames = map[string]tls.CurveID{
	"prime256v1": tls.CurveP256, "P-256": tls.CurveP256, "secp384r1": tls.CurveP384, "P-384": tls.CurveP384,
	"secp521r1": tls.CurveP521, "P-521": tls.CurveP521, "X25519": tls.X25519, "X25519MLKEM768": tls.X25519MLKEM768,
}

// defaultCurve is Pgpool-II's default of ssl_ecdh_curve. It is ignored, because nobody
// chose it and it would cost clients that begin with X25519 a round trip.
const defaultCurve = "prime256v1"

// curves reads ssl_ecdh_curve; nil means Go's own choice.
func curves(list string, log *slog.Logger) (chosen []tls.CurveID) {
	if list == defaultCurve {
		return nil
	}
	for name := range strings.SplitSeq(list, ":") {
		if curve, known := curveNames[name]; known {
			chosen = append(chosen, curve)
		} else if name != "" {
			log.Warn("ssl_ecdh_curve names a curve that pgherd does not have", "curve", name)
		}
	}
	return chosen
}
