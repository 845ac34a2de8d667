package nodes

import "time"

// Checks counts the probes of a node since pgherd has asked it.
type Checks struct {
	Succeeded, Failed           uint64
	Shortest, Longest, Together time.Duration // of those that have succeeded
	LastSucceeded, LastFailed   time.Time     // when it ended; zero: never
}

// Add counts one that has ended.
func (c *Checks) Add(began, ended time.Time, err error) {
	if err != nil {
		c.Failed, c.LastFailed = c.Failed+1, ended
		return
	}
	took := ended.Sub(began)
	if c.Succeeded == 0 || took < c.Shortest {
		c.Shortest = took
	}
	c.Longest, c.Together = max(c.Longest, took), c.Together+took
	c.Succeeded, c.LastSucceeded = c.Succeeded+1, ended
}

// Mean is how long successful probes took on average.
func (c *Checks) Mean() time.Duration {
	if c.Succeeded == 0 {
		return 0
	}
	return c.Together / time.Duration(c.Succeeded)
}

// Last is when the latest one ended; zero if there was none.
func (c *Checks) Last() time.Time {
	if c.LastFailed.After(c.LastSucceeded) {
		return c.LastFailed
	}
	return c.LastSucceeded
}
