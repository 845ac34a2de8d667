package watchdog

import (
	"encoding/binary"
	"log/slog"
	"runtime"
	"time"
)

// Limits of writing again.
const (
	writeAgain = time.Second // after a write has failed
	tellUnable = time.Minute // between two lines in the log that writes fail
)

// lasting is the store as raft has it: its term and votes are written again and again while the disk refuses them, because raft
// ends the process otherwise. A member that waits is silent, which is safe: it neither votes nor leads.
type lasting struct {
	*store
	log   *slog.Logger
	write func(key, value []byte) error
	ended <-chan struct{} // the member is closed
	pause time.Duration
}

// Set returns once a value is written. In a member that is closed before, it ends the goroutine, which is raft's: raft may not
// take the value for written, nor hear of an error.
func (l *lasting) Set(key, value []byte) error {
	var told time.Time
	for {
		err := l.write(key, value)
		if err == nil {
			if !told.IsZero() {
				l.log.Info("watchdog: what is decided can be written again")
			}
			return nil
		}
		if now := time.Now(); told.IsZero() || now.Sub(told) >= tellUnable {
			told = now
			l.log.Error("watchdog: this member is silent until it can write", "error", err, "hint", "Look at the disk of wd_data_directory.")
		}
		select {
		case <-time.After(l.pause):
		case <-l.ended:
			runtime.Goexit()
		}
	}
}

// SetUint64 writes a number, as Set does.
func (l *lasting) SetUint64(key []byte, value uint64) error {
	return l.Set(key, binary.BigEndian.AppendUint64(nil, value))
}

// writable fails at the start of a member on a disk that refuses writes, where an operator sees it.
func (s *store) writable() error {
	term, err := s.Get([]byte(values[0]))
	if err != nil {
		return err
	}
	return s.Set([]byte(values[0]), term)
}
