package config

import (
	"fmt"
	"log/slog"
)

// Masked is shown in place of a secret.
const Masked = "*****"

// Secret is a password. Every way of printing it prints Masked; convert it to string to use it (I9).
type Secret string

// Format implements fmt.Formatter, so that no verb gets at the text.
func (s Secret) Format(f fmt.State, _ rune) { fmt.Fprint(f, s.String()) }

// String returns Masked, or "" if there is nothing to hide.
func (s Secret) String() string {
	if s == "" {
		return ""
	}
	return Masked
}

// MarshalText implements encoding.TextMarshaler, for JSON and the like.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// LogValue implements slog.LogValuer.
func (s Secret) LogValue() slog.Value { return slog.StringValue(s.String()) }
