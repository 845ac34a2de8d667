package peer

import (
	"sync"
	"time"
)

// Limits of what is logged again and again.
const (
	tellAgain = time.Minute // at the earliest
	mostTold  = 256         // texts that are known; more are not told before others are a minute old
)

// Seldom has a text told once a minute, so that a peer that is away does not fill the disk.
type Seldom struct {
	lock sync.Mutex
	told map[string]time.Time
}

// Due says that a text, without what varies in it, may be told now.
func (s *Seldom) Due(text string, now time.Time) bool {
	s.lock.Lock()
	defer s.lock.Unlock()
	if at, told := s.told[text]; told && now.Sub(at) < tellAgain {
		return false
	}
	if s.told == nil || len(s.told) >= mostTold {
		s.forget(now)
	}
	if len(s.told) >= mostTold {
		return false
	}
	s.told[text] = now
	return true
}

func (s *Seldom) forget(now time.Time) {
	kept := map[string]time.Time{}
	for text, at := range s.told {
		if now.Sub(at) < tellAgain {
			kept[text] = at
		}
	}
	s.told = kept
}
