package health

import (
	"testing"

	"pgherd/proxy/nodes"
)

func TestTimelineAfterAnother(t *testing.T) {
	standby := func(system uint64, timeline uint32) Identity {
		return Identity{Role: nodes.Standby, System: system, Timeline: timeline}
	}
	primary := func(timeline uint32) Identity { return Identity{Role: nodes.Primary, System: 1, Timeline: timeline} }
	for what, c := range map[string]struct {
		before, now Identity
		streams     bool
		want        uint32
	}{
		"the stream is lost, and the control file lags behind":     {standby(1, 5), standby(1, 4), false, 5},
		"the stream goes on to a new timeline":                     {standby(1, 4), standby(1, 5), true, 5},
		"a false primary is a copy of the right one, and streams":  {standby(1, 5), standby(1, 4), true, 4},
		"a false primary is a standby again, and receives nothing": {primary(5), standby(1, 4), false, 5},
		"a primary says what it writes":                            {standby(1, 5), primary(4), false, 4},
		"it is of another system":                                  {standby(1, 5), standby(2, 1), false, 1},
	} {
		if got := c.now.after(c.before, c.streams); got.Timeline != c.want {
			t.Errorf("%s: the timeline is %d, want %d", what, got.Timeline, c.want)
		}
	}
}
