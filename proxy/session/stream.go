package session

import "pgherd/proxy/wire"

// stream is one direction of the traffic. It cuts an endpoint's chunks into messages.
type stream struct {
	from   wire.Endpoint
	cut    wire.Cutter
	chunk  wire.Chunk   // the chunk that is being cut
	rest   []byte       // what is left of it
	ahead  []wire.Chunk // the chunks after it that gather has taken
	taken  uint64       // how many bytes have come, up to the end of chunk
	passed int          // how many bytes of the present response, or copy, have passed
}

// position is how many bytes have been cut.
func (st *stream) position() uint64 { return st.taken - uint64(len(st.rest)) }

// gather takes all that has arrived from the endpoint, and returns how many bytes that makes
// since the beginning.
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

// next is the next message, or piece of one, that has arrived; it is not ok if none has. The
// bytes are valid until the next call.
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
	st.chunk = st.fetch()
	if st.chunk == nil {
		return false
	}
	st.rest = st.chunk.Bytes()
	st.taken += uint64(len(st.rest))
	return true
}

// fetch is the next chunk; nil if none has arrived.
func (st *stream) fetch() (chunk wire.Chunk) {
	if len(st.ahead) == 0 {
		return st.from.Take()
	}
	chunk = st.ahead[0]
	st.ahead = st.ahead[1:]
	if len(st.ahead) == 0 {
		st.ahead = nil
	}
	return chunk
}

// run passes on in one piece all further messages of a kind that have arrived, and returns how
// many bytes that were. It makes thousands of rows cheap.
func (st *stream) run(to wire.Endpoint, kind wire.Kind) int {
	n := st.cut.Run(st.rest, kind)
	if n > 0 {
		to.Forward(st.chunk, st.rest[:n])
		st.rest = st.rest[n:]
	}
	return n
}

// passes counts bytes of a response, or of a copy. Once that has become long, what follows is
// received in large pieces.
func (st *stream) passes(n int) {
	st.passed += n
	if st.passed >= streamAfter && st.passed-n < streamAfter {
		st.from.Stream(true)
	}
}

// ends notes that another response, or copy, follows. It counts as short until it has become
// long.
func (st *stream) ends() {
	if st.passed >= streamAfter {
		st.from.Stream(false)
	}
	st.passed = 0
}

// drop releases all chunks that were not cut.
func (st *stream) drop() {
	st.release()
	for _, chunk := range st.ahead {
		chunk.Release()
	}
	st.ahead = nil
}

// release releases the chunk that is being cut.
func (st *stream) release() {
	if st.chunk != nil {
		st.chunk.Release()
	}
	st.chunk, st.rest = nil, nil
}

// pass sends m, which next has returned, on to another endpoint. It copies the bytes only if it
// must.
func (st *stream) pass(to wire.Endpoint, m wire.Message) {
	if m.Copied {
		to.Write(m.Bytes)
	} else {
		to.Forward(st.chunk, m.Bytes)
	}
}
