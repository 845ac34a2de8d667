package wiretest

import (
	"fmt"
	"slices"

	"pgherd/proxy/wire"
)

// message is how a trace writes one kind of message.
type message struct {
	name  string
	side  Side      // who sends it
	kind  wire.Kind // Unknown for first packets, which have no type byte
	build func(dst []byte, f *fields) []byte
	read  func(body []byte) ([]word, error)
}

// messages are all of them.
var messages = slices.Concat(firstPackets, requests, replies)

func findMessage(side Side, name string) *message {
	for i := range messages {
		if m := &messages[i]; m.side == side && m.name == name {
			return m
		}
	}
	return nil
}

// identify finds what a message with this type byte is: prefer if it fits,
// else the first whose fields can be read.
func identify(side Side, tag byte, body []byte, prefer *message) (m *message, words []word, err error) {
	kind := wire.RequestKind(tag)
	if side == Server {
		kind = wire.ReplyKind(tag)
	}
	if kind == wire.Unknown {
		return nil, nil, fmt.Errorf("a message of the unknown type %q", tag)
	}
	if prefer != nil && prefer.kind == kind {
		if words, err = prefer.read(body); err == nil {
			return prefer, words, nil
		}
	}
	for i := range messages {
		if messages[i].kind != kind {
			continue
		}
		if words, err = messages[i].read(body); err == nil {
			return &messages[i], words, nil
		}
	}
	return nil, nil, fmt.Errorf("a %v that cannot be read: %w", kind, err)
}

func bodyless(side Side, kind wire.Kind, build func([]byte) []byte) message {
	return message{
		name: kind.String(), side: side, kind: kind,
		build: func(dst []byte, _ *fields) []byte { return build(dst) },
		read:  func(body []byte) ([]word, error) { return nil, wire.ViewBodyless(kind, body) },
	}
}

// data is a message whose body is nothing but data.
func data(side Side, name string, kind wire.Kind, build func([]byte, string) []byte) message {
	return message{
		name: name, side: side, kind: kind,
		build: func(dst []byte, f *fields) []byte { return build(dst, f.text()) },
		read:  func(body []byte) ([]word, error) { return []word{text(body)}, nil },
	}
}

func (m *message) untagged() bool { return m.kind == wire.Unknown }
