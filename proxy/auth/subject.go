package auth

import (
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"fmt"
	"strings"
)

// subjectNames are the short names that OpenSSL writes attributes by.
var subjectNames = map[string]string{
	"2.5.4.3": "CN", "2.5.4.4": "SN", "2.5.4.5": "serialNumber", "2.5.4.6": "C", "2.5.4.7": "L", "2.5.4.8": "ST",
	"2.5.4.9": "street", "2.5.4.10": "O", "2.5.4.11": "OU", "2.5.4.12": "title", "2.5.4.17": "postalCode",
	"2.5.4.42": "GN", "2.5.4.43": "initials", "2.5.4.46": "dnQualifier", "2.5.4.65": "pseudonym",
	"1.2.840.113549.1.9.1": "emailAddress", "0.9.2342.19200300.100.1.1": "UID", "0.9.2342.19200300.100.1.25": "DC",
}

// SubjectDN is a certificate's subject by RFC 2253, as PostgreSQL compares it
// for clientname=DN (OpenSSL's XN_FLAG_RFC2253): the last part comes first.
func SubjectDN(cert *x509.Certificate) string {
	var parts pkix.RDNSequence
	if rest, err := asn1.Unmarshal(cert.RawSubject, &parts); err != nil || len(rest) > 0 {
		return ""
	}
	var b strings.Builder
	for i := len(parts) - 1; i >= 0; i-- {
		for j := len(parts[i]) - 1; j >= 0; j-- {
			writeAttribute(&b, &parts[i][j])
			switch {
			case j > 0:
				b.WriteByte('+')
			case i > 0:
				b.WriteByte(',')
			}
		}
	}
	return b.String()
}

// writeAttribute writes the encoding of a value whose type has no name.
func writeAttribute(b *strings.Builder, a *pkix.AttributeTypeAndValue) {
	name, known := subjectNames[a.Type.String()]
	text, isText := a.Value.(string)
	if !known || !isText {
		der, _ := asn1.Marshal(a.Value)
		fmt.Fprintf(b, "%s=#%X", a.Type, der)
		return
	}
	b.WriteString(name + "=")
	for i := range len(text) {
		c := text[i]
		switch {
		case c < ' ' || c >= 0x7f:
			fmt.Fprintf(b, `\%02X`, c)
		case strings.IndexByte(`,+"\<>;`, c) >= 0, i == 0 && (c == '#' || c == ' '), i == len(text)-1 && c == ' ':
			b.WriteByte('\\')
			b.WriteByte(c)
		default:
			b.WriteByte(c)
		}
	}
}
