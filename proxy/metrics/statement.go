package metrics

// Statement is something that was sent to a node, or that the node said about it: the
// columns of SHOW POOL_BACKEND_STATS, in its order.
type Statement uint8

const (
	Select Statement = iota
	Insert
	Update
	Delete
	DDL
	Other
	Panic // from here on messages of that severity
	Fatal
	Error
	statements // how many there are
)

// Statements counts each kind.
type Statements [statements]uint64

// Merge adds what another one has counted.
func (s *Statements) Merge(other *Statements) {
	for i, n := range other {
		s[i] += n
	}
}
