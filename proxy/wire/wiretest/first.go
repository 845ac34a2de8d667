package wiretest

import (
	"fmt"
	"strings"

	"pgherd/proxy/wire"
)

// firstPackets have no type byte.
var firstPackets = []message{
	first(wire.FirstStartup, func(dst []byte, f *fields) []byte {
		protocol := f.version()
		dst, err := wire.AppendStartup(dst, protocol, f.params()...)
		if err != nil {
			f.fail("%w", err)
		}
		return dst
	}),
	first(wire.FirstSSLRequest, func(dst []byte, _ *fields) []byte { return wire.AppendSSLRequest(dst) }),
	first(wire.FirstGSSENCRequest, func(dst []byte, _ *fields) []byte { return wire.AppendGSSENCRequest(dst) }),
	first(wire.FirstCancelRequest, func(dst []byte, f *fields) []byte {
		return wire.AppendCancelRequest(dst, uint32(f.integer(32)), wire.Secret(f.text()))
	}),
}

func first(kind wire.FirstKind, build func([]byte, *fields) []byte) message {
	return message{name: kind.String(), side: Client, build: build, read: func(body []byte) ([]word, error) {
		f, err := wire.ViewFirst(body)
		if err == nil && f.Kind != kind {
			err = fmt.Errorf("it is a %v", f.Kind)
		}
		return firstWords(&f), err
	}}
}

func firstWords(f *wire.First) (words []word) {
	switch f.Kind {
	case wire.FirstStartup:
		words = []word{version(f.Protocol)}
		for _, p := range append(f.Params, f.Options...) {
			words = append(words, text(p.Name+"="+p.Value))
		}
	case wire.FirstCancelRequest:
		words = []word{number(f.PID), text(f.Key)}
	}
	return words
}

// params reads name=value.
func (f *fields) params() (params []wire.Param) {
	for _, pair := range f.rest() {
		name, value, found := strings.Cut(pair, "=")
		if !found {
			f.fail("%q is not name=value", pair)
		}
		params = append(params, wire.Param{Name: name, Value: value})
	}
	return params
}
