package wire

// Chunk is a piece of received bytes. It is memory of the worker's, which is
// counted: whoever has taken a Chunk releases it, once.
type Chunk interface {
	Bytes() []byte
	Release()
}

// Endpoint is a connection as a session sees it: bytes come in and go out, and
// no call blocks. Its owner is told, outside this interface, when something has
// changed and is worth another look. TLS is a transform behind it.
type Endpoint interface {
	// Take removes the oldest chunk received; nil when there is none now.
	Take() Chunk
	// Ended is nil while more may come. Once the last chunk has been taken it
	// is io.EOF, or the error that broke the connection.
	Ended() error
	// Left says that the other side has closed or broken the connection,
	// though what it sent before may not have been taken yet.
	Left() bool
	// Forward queues part, a sub-slice of c's bytes, without copying it.
	Forward(c Chunk, part []byte)
	// Write queues a copy of p.
	Write(p []byte)
	// Queued is how many bytes the kernel has not taken yet. The owner is told
	// when many become fewer.
	Queued() int
	// TellSends has the owner told whenever the kernel has taken some.
	TellSends()
	// Stream tells whether a long response is passing, so that it is
	// received in large pieces.
	Stream(on bool)
	// Close ends the connection now; what is queued is lost.
	Close()
}
