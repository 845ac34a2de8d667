package wire

import (
	"encoding/binary"
	"iter"
	"math"
	"slices"
)

// Text is what builders take for names and SQL: a string, or a piece of a view.
type Text interface{ ~string | ~[]byte }

func appendText[T Text](dst []byte, s T) []byte { return append(append(dst, s...), 0) }

// appendCount appends the count of a list. A count that does not fit is a bug of pgherd's.
func appendCount(dst []byte, n int) []byte {
	if n > math.MaxUint16 {
		panic("build message: a list of more than 65535")
	}
	return binary.BigEndian.AppendUint16(dst, uint16(n))
}

func appendValue[T Text](dst []byte, value T) []byte {
	return append(binary.BigEndian.AppendUint32(dst, uint32(len(value))), value...)
}

// Formats are format codes, two bytes each: 0 text, 1 binary. The codes
// themselves are not checked: PostgreSQL answers a wrong one with an ordinary error.
type Formats []byte

// MakeFormats makes format codes for a builder.
func MakeFormats(codes ...int16) (f Formats) {
	for _, code := range codes {
		f = binary.BigEndian.AppendUint16(f, uint16(code))
	}
	return f
}

// Len is how many there are.
func (f Formats) Len() int { return len(f) / 2 }

// At is code i.
func (f Formats) At(i int) int16 { return int16(binary.BigEndian.Uint16(f[2*i:])) }

func (c *cursor) formats() Formats { return c.take(2 * int(c.uint16())) }

func appendFormats(dst []byte, f Formats) []byte { return append(appendCount(dst, f.Len()), f...) }

// OIDs are object identifiers, four bytes each.
type OIDs []byte

// MakeOIDs makes object identifiers for a builder.
func MakeOIDs(oids ...uint32) (o OIDs) {
	for _, oid := range oids {
		o = binary.BigEndian.AppendUint32(o, oid)
	}
	return o
}

// Len is how many there are.
func (o OIDs) Len() int { return len(o) / 4 }

// At is identifier i.
func (o OIDs) At(i int) uint32 { return binary.BigEndian.Uint32(o[4*i:]) }

func (c *cursor) oids() OIDs { return c.take(4 * int(c.uint16())) }

func appendOIDs(dst []byte, o OIDs) []byte { return append(appendCount(dst, o.Len()), o...) }

// Values are a row's or a Bind's values, in place.
type Values struct {
	count int
	bytes []byte
}

// MakeValues makes values for a builder; nil is NULL.
func MakeValues(values ...[]byte) Values {
	v := Values{count: len(values)}
	for _, value := range values {
		v.bytes = appendNullable(v.bytes, value)
	}
	return v
}

func appendNullable(dst, value []byte) []byte {
	if value == nil {
		return binary.BigEndian.AppendUint32(dst, math.MaxUint32)
	}
	return appendValue(dst, value)
}

// Len is how many there are.
func (v Values) Len() int { return v.count }

// All yields them in order; nil is NULL, an empty value is not nil.
func (v Values) All() iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		c := cursor{rest: v.bytes}
		for range v.count {
			if !yield(c.value()) {
				return
			}
		}
	}
}

func (c *cursor) values() Values {
	count := int(c.uint16())
	start := c.rest
	for range count {
		c.value()
	}
	if c.wrong != "" {
		return Values{}
	}
	return Values{count: count, bytes: slices.Clip(start[:len(start)-len(c.rest)])}
}

func appendValues(dst []byte, v Values) []byte { return append(appendCount(dst, v.count), v.bytes...) }

// Texts are zero-terminated texts, in place.
type Texts struct {
	count int
	bytes []byte
}

// MakeTexts makes texts for a builder.
func MakeTexts(texts ...string) Texts {
	t := Texts{count: len(texts)}
	for _, text := range texts {
		t.bytes = appendText(t.bytes, text)
	}
	return t
}

// Len is how many there are.
func (t Texts) Len() int { return t.count }

// All yields them in order.
func (t Texts) All() iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		c := cursor{rest: t.bytes}
		for range t.count {
			if !yield(c.text()) {
				return
			}
		}
	}
}
