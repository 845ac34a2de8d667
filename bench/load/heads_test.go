package load

import (
	"bytes"
	"encoding/binary"
	"errors"
	"slices"
	"testing"
)

func walkAll(pieces [][]byte) (kinds []byte, errs error) {
	var h heads
	for _, piece := range pieces {
		err := h.walk(piece, func(kind byte, body []byte) error {
			kinds = append(kinds, kind)
			if kind == 'E' {
				return serverError(body)
			}
			return nil
		})
		if err != nil {
			return kinds, err
		}
	}
	return kinds, nil
}

var answer = slices.Concat(message('T', []byte("columns")), message('D', bytes.Repeat([]byte("x"), 9000)),
	message('D', []byte("Z\x00\x00\x00\x05I")), message('n', nil), message('Z', []byte("I")))

// The same messages are found wherever the bytes are cut. Bytes inside a row that look like a message are not one.
func TestWalkThroughAnyCut(t *testing.T) {
	for size := 1; size < 40; size++ {
		if kinds, err := walkAll(slices.Collect(slices.Chunk(answer, size))); err != nil || string(kinds) != "TDDnZ" {
			t.Errorf("in pieces of %d: %q, %v", size, kinds, err)
		}
	}
}

func TestWalkRefusesLengths(t *testing.T) {
	for _, length := range []uint32{0, 3, 1<<30 + 5, 1 << 31} {
		_, err := walkAll([][]byte{binary.BigEndian.AppendUint32([]byte{'D'}, length)})
		if !errors.Is(err, errLength) {
			t.Errorf("length %d: %v", length, err)
		}
	}
}

func TestErrorsAreErrors(t *testing.T) {
	for body, want := range map[string]string{
		"SERROR\x00C42P01\x00Mno such thing\x00\x00": "server says: no such thing",
		"SERROR\x00\x00": "server says: an error without a message",
		"":               "server says: an error without a message",
		"Mcut":           "server says: cut",
	} {
		if _, err := walkAll([][]byte{message('E', []byte(body))}); err == nil || err.Error() != want {
			t.Errorf("%q: %v, want %s", body, err, want)
		}
	}
}

func FuzzWalk(f *testing.F) {
	f.Add(answer, uint8(7))
	f.Add([]byte{'E', 0, 0, 0, 8, 'M', 'x'}, uint8(1))
	f.Fuzz(func(t *testing.T, stream []byte, size uint8) {
		whole, wholeErr := walkAll([][]byte{stream})
		cut, cutErr := walkAll(slices.Collect(slices.Chunk(stream, int(size)+1)))
		if !bytes.Equal(whole, cut) || (wholeErr == nil) != (cutErr == nil) {
			t.Errorf("whole: %q, %v; in pieces: %q, %v", whole, wholeErr, cut, cutErr)
		}
	})
}
