package ring

// Settings of a Loop. The zero value means the defaults below.
type Settings struct {
	Engine     string // auto (or empty), io_uring, epoll
	Buffers    int    // shared receive buffers; rounded up to a power of two, at most MaxBuffers
	BufferSize int    // bytes of one shared buffer
	Quota      int    // how many shared buffers, or as much memory of private ones, a Conn may hold before it stops receiving
	Held       int    // how many bytes of memory all Conns may hold before each may hold only an eighth of its limit
	NoStream   bool   // Conn.Stream has no effect; for comparisons
}

// Defaults and limits.
const (
	DefaultBuffers    = 512
	DefaultBufferSize = 8 << 10 // what PostgreSQL sends at a time
	DefaultQuota      = 16
	DefaultHeld       = 64 << 20
	MaxBuffers        = 1 << 15 // the kernel's limit for a buffer ring
)

func (s Settings) orDefaults() Settings {
	s.Buffers = min(orDefault(s.Buffers, DefaultBuffers), MaxBuffers)
	n := 1
	for n < s.Buffers {
		n *= 2
	}
	s.Buffers = n
	s.BufferSize = orDefault(s.BufferSize, DefaultBufferSize)
	s.Quota = orDefault(s.Quota, DefaultQuota)
	s.Held = orDefault(s.Held, DefaultHeld)
	return s
}

func orDefault(v, def int) int {
	if v <= 0 {
		return def
	}
	return v
}

// Counters of one Loop since its start.
type Counters struct {
	Turns       uint64
	Enters      uint64 // system calls that wait for or submit work
	Completions uint64
	Late        uint64 // completions that came after their Conn was gone
	NoBuffers   uint64 // receives refused for want of a shared buffer (ENOBUFS)
	Recvs       uint64 // receives that brought bytes
	RecvBytes   uint64
	Sends       uint64 // sends the kernel took bytes of
	SendBytes   uint64
}
