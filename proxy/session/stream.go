package session

import "pgherd/proxy/wire"

// stream is one direction of traffic: an endpoint's chunks, cut into messages.
type stream struct {
	from   wire.Endpoint
	cut    wire.Cutter
	chunk  wire.Chunk   // the one being cut
	rest   []byte       // of it
	ahead  []wire.Chunk // that follow it, taken before their time
	taken  uint64       // bytes, up to the end of chunk
	passed int          // bytes of the present response, or copy
}

// position is how many bytes have been cut.
func (st *stream) position() uint64 { return st.taken - uint64(len(st.rest)) }

// gather takes what has arrived, and tells how many bytes that makes in all.
func (st *stream) gather() (arrived uint64) {
	for chunk := st.from.Take(); chunk != nil; chunk = st.from.Take() {
		st.ahead = append(st.ahead, chunk)
	}
	arrived = st.taken
	for _, chunk := range st.ahead {
		arrived += uint64(len(chunk.Bytes()))
	}
	return arrived
}

// next is the next message, or piece of one, that has arrived. Its bytes are
// valid until the next call.
func (st *stream) next() (m wire.Message, ok bool, err error) {
	for {
		if len(st.rest) == 0 && !st.advance() {
			return wire.Message{}, false, nil
		}
		if m, st.rest, err = st.cut.Next(st.rest); err != nil || len(m.Bytes) > 0 {
			return m, err == nil, err
		}
	}
}

// advance goes on to the next chunk.
func (st *stream) advance() bool {
	st.release()
	if st.chunk = st.fetch(); st.chunk == nil {
		return false
	}
	st.rest = st.chunk.Bytes()
	st.taken += uint64(len(st.rest))
	return true
}

func (st *stream) fetch() (chunk wire.Chunk) {
	if len(st.ahead) == 0 {
		return st.from.Take()
	}
	chunk = st.ahead[0]
	if st.ahead = st.ahead[1:]; len(st.ahead) == 0 {
		st.ahead = nil
	}
	return chunk
}

// run passes on, at once, all that has arrived of further messages of a kind,
// and tells how many bytes that were. Rows come by the thousand.
func (st *stream) run(to wire.Endpoint, kind wire.Kind) int {
	n := st.cut.Run(st.rest, kind)
	if n > 0 {
		to.Forward(st.chunk, st.rest[:n])
		st.rest = st.rest[n:]
	}
	return n
}

// passes counts bytes of a response, or of a copy; once that has proved long, what
// follows is received in large pieces.
func (st *stream) passes(n int) {
	st.passed += n
	if st.passed >= streamAfter && st.passed-n < streamAfter {
		st.from.Stream(true)
	}
}

// ends: what follows is another response, or copy, and short until proved long.
func (st *stream) ends() {
	if st.passed >= streamAfter {
		st.from.Stream(false)
	}
	st.passed = 0
}

// drop releases what has not been cut.
func (st *stream) drop() {
	st.release()
	for _, chunk := range st.ahead {
		chunk.Release()
	}
	st.ahead = nil
}

// release releases the chunk being cut.
func (st *stream) release() {
	if st.chunk != nil {
		st.chunk.Release()
	}
	st.chunk, st.rest = nil, nil
}

// pass sends m, which next returned, on to another endpoint, without copying
// it where that can be avoided.
func (st *stream) pass(to wire.Endpoint, m wire.Message) {
	if m.Copied {
		to.Write(m.Bytes)
	} else {
		to.Forward(st.chunk, m.Bytes)
	}
}
