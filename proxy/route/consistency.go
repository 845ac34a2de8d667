package route

// Consistency says which writes a read has to see (read_consistency).
type Consistency uint8

const (
	Eventual Consistency = iota // those that its node happens to have replayed
	Own                         // those of its session: read_consistency = session
	Global                      // those of all sessions of this pgherd
)

func (c Consistency) String() string { return [...]string{"eventual", "session", "global"}[c] }
