package certs

import (
	"bytes"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"slices"
	"time"
)

// revocations are the lists of ssl_crl_file. Without a list nothing is checked. With
// one, as in PostgreSQL, every authority of a chain must have a list of its own that is
// signed and not out of date.
type revocations []*x509.RevocationList

func loadRevocations(file string) (lists revocations, err error) {
	if file == "" {
		return nil, nil
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("read TLS revocation list: %w", err)
	}
	for block, rest := pem.Decode(text); block != nil; block, rest = pem.Decode(rest) {
		list, err := x509.ParseRevocationList(block.Bytes)
		if err != nil {
			return nil, fmt.Errorf("read TLS revocation list %s: %w", file, err)
		}
		lists = append(lists, list)
	}
	if len(lists) == 0 {
		return nil, fmt.Errorf("read TLS revocation list: %s holds none", file)
	}
	return lists, nil
}

// check accepts if one of the chains has no revoked certificate. Without any chain
// there was no certificate.
func (r revocations) check(chains [][]*x509.Certificate) (err error) {
	if len(r) == 0 {
		return nil
	}
	for _, chain := range chains {
		if err = r.checkChain(chain, time.Now()); err == nil {
			return nil
		}
	}
	return err
}

func (r revocations) checkChain(chain []*x509.Certificate, now time.Time) error {
	for i, cert := range chain[:max(0, len(chain)-1)] {
		if err := r.checkOne(cert, chain[i+1], now); err != nil {
			return err
		}
	}
	return nil
}

func (r revocations) checkOne(cert, issuer *x509.Certificate, now time.Time) error {
	found := false
	for _, list := range r {
		if !bytes.Equal(list.RawIssuer, issuer.RawSubject) || list.CheckSignatureFrom(issuer) != nil ||
			!list.NextUpdate.IsZero() && now.After(list.NextUpdate) {
			continue
		}
		found = true
		if slices.ContainsFunc(list.RevokedCertificateEntries, func(e x509.RevocationListEntry) bool {
			return e.SerialNumber.Cmp(cert.SerialNumber) == 0
		}) {
			return errors.New("verify certificate: it is revoked")
		}
	}
	if !found {
		return errors.New("verify certificate: its authority has no valid revocation list")
	}
	return nil
}
