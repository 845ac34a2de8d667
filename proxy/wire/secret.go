package wire

import "fmt"

// Secret is a password, a key or what a key is derived from. However it is
// printed or logged, it does not show (I9).
type Secret []byte

const hidden = "(hidden)"

// Format hides it from every verb of fmt.
func (Secret) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(hidden)) }

// MarshalText hides it from log/slog and encoding/json.
func (Secret) MarshalText() ([]byte, error) { return []byte(hidden), nil }
