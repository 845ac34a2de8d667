package session

import (
	"encoding/binary"
	"slices"
	"strconv"
	"strings"

	"pgherd/proxy/catalog"
	"pgherd/proxy/query"
	"pgherd/proxy/route"
	"pgherd/proxy/wire"
)

// This file is for signals to many clients in one statement, whose numbers are an array that
// is bound as a parameter: SELECT pg_cancel_backend(pid) FROM unnest($1) AS pid.

// eachLimit is how many client numbers of one statement are replaced.
const eachLimit = 100

// eachSignaled are the clients whose numbers are in the array of a Bind.
func (s *signaling) eachSignaled(m *wire.Message, r *route.Request) map[uint32]uint32 {
	if m.Kind != wire.Bind || r.Script == nil || len(r.Script.Statements) != 1 || !r.Script.Statements[0].Effects.Has(query.Signals) {
		return nil
	}
	owns := func(f query.Function) bool { return s.judge().Function(&f) != catalog.Harmless }
	if !query.SignalEach(r.Script) || slices.ContainsFunc(r.Script.Statements[0].Functions, owns) {
		return nil
	}
	v, err := wire.ViewBind(m.Body())
	if err != nil || v.Params.Len() != 1 {
		return nil
	}
	clients := map[uint32]uint32{}
	for array := range v.Params.All() {
		renumberEach(array, v.Binary(0), func(n uint32) uint32 {
			if len(clients) < eachLimit && s.loop.Client(n) {
				clients[n] = 0
			}
			return n
		})
	}
	return clients
}

// aimAtEach makes each of the clients hold a server of the primary. A client with a server
// of another node is not reached.
func (s *signaling) aimAtEach(clients map[uint32]uint32, ends bool) error {
	var held []func(bool)
	for n := range clients {
		if n == s.pid {
			continue
		}
		var found Target
		var ok bool
		if err := s.loop.Offload(func() { found, ok = s.loop.Aim(n) }); err != nil {
			releaseAll(held, false)
			return err
		}
		if ok && found.Node != s.primary() {
			found.Release(false)
		} else if ok {
			clients[n], held = found.PID, append(held, found.Release)
		}
	}
	s.target = target{each: clients, ends: ends, release: func(ends bool) { releaseAll(held, ends) }}
	return nil
}

// releaseAll lets all those clients go on.
func releaseAll(held []func(bool), ends bool) {
	for _, release := range held {
		release(ends)
	}
}

// redirectEach binds the numbers of the servers' processes in the place of clients' numbers.
func (s *signaling) redirectEach(m *wire.Message) {
	v, err := wire.ViewBind(m.Body())
	if err != nil || s.away {
		return
	}
	values := slices.Collect(v.Params.All())
	values[0] = renumberEach(values[0], v.Binary(0), func(n uint32) uint32 {
		switch pid, known := s.target.each[n]; {
		case n == s.pid:
			return s.server.PID
		case known && pid != 0:
			return pid
		}
		return n
	})
	v.Params = wire.MakeValues(values...)
	*m = wire.Message{Kind: wire.Bind, First: true, Last: true, Copied: true, Bytes: wire.AppendBind(nil, &v)}
}

// renumberEach is an array of numbers, in text or binary form, with each replaced by another
// number. A value that is no such array is returned as it is.
func renumberEach(array []byte, isBinary bool, other func(uint32) uint32) []byte {
	if isBinary {
		return renumberBinary(slices.Clone(array), other)
	}
	text := string(array)
	if len(text) < 2 || text[0] != '{' || text[len(text)-1] != '}' {
		return array
	}
	parts := strings.Split(text[1:len(text)-1], ",")
	for i, part := range parts {
		if n := query.Process(part); n > 0 {
			parts[i] = strconv.FormatUint(uint64(other(uint32(n))), 10)
		}
	}
	return []byte("{" + strings.Join(parts, ",") + "}")
}

// renumberBinary changes an array of one dimension in PostgreSQL's binary form. Its header is
// the number of dimensions, whether there are NULLs, the type of the elements, how many there
// are, and the first index. Each element follows its own length.
func renumberBinary(array []byte, other func(uint32) uint32) []byte {
	const header = 20
	to := binary.BigEndian
	if len(array) < header || to.Uint32(array) != 1 {
		return array
	}
	for rest := array[header:]; len(rest) >= 4; {
		n := int(int32(to.Uint32(rest)))
		if rest = rest[4:]; n < 0 || n > len(rest) {
			return array
		}
		switch {
		case n == 4:
			to.PutUint32(rest, other(to.Uint32(rest)))
		case n == 8 && to.Uint32(rest) == 0:
			to.PutUint32(rest[4:], other(to.Uint32(rest[4:])))
		}
		rest = rest[n:]
	}
	return array
}
