package scripts

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"pgherd/proxy/failover"
)

func node(i int) Node {
	return Node{i, fmt.Sprint("db", i), 5430 + i, fmt.Sprint("/data", i)}
}

func TestExpand(t *testing.T) {
	s := Subject{Node: node(0), Primary: node(1), Former: node(2)}
	for _, c := range []struct{ command, want string }{
		{"failover.sh %d %h %p %D %m %H %M %P %r %R %N %S", "failover.sh 0 db0 5430 /data0 1 db1 2 2 5431 /data1 db2 5432"},
		{"echo 100%% %d%d %x 5%", "echo 100% 00 %x 5%"},
		{"echo %%d", "echo %d"},
	} {
		if got := Expand(c.command, s); got != c.want {
			t.Errorf("Expand(%q) = %q, want %q", c.command, got, c.want)
		}
	}
	none := Subject{Node: Node{Index: None}, Primary: Node{Index: None}, Former: Node{Index: None}}
	if got := Expand("x %d %h %p %D %m %N", none); got != `x -1 "" "" "" -1 ""` {
		t.Errorf("of an empty change: got %s", got)
	}
}

func TestRun(t *testing.T) {
	for name, c := range map[string]struct {
		command, output, fault string
		limit                  time.Duration
	}{
		"well":                     {command: "echo it is; echo done >&2", output: "it is\ndone"},
		"fails":                    {command: "echo no such host; exit 3", fault: "exit status 3; its output ends:\nno such host"},
		"does not exist":           {command: "/no/such/script.sh 1", fault: "exit status 127"},
		"hangs":                    {command: "echo begun; sleep 1000", fault: "it was not done after 100ms; its output ends:\nbegun", limit: 100 * time.Millisecond},
		"hangs in a child":         {command: "(sleep 1000 & wait)", fault: "it was not done after 100ms", limit: 100 * time.Millisecond},
		"leaves a server process":  {command: "sleep 3 & echo started $! > /dev/null; echo up", output: "up"},
		"writes 100,000,000 bytes": {command: "head -c 100000000 /dev/zero | tr '\\0' x; echo end", output: strings.Repeat("x", outputBytes-4) + "end"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if c.limit == 0 {
				c.limit = time.Minute
			}
			output, err := Run(t.Context(), c.command, c.limit)
			switch {
			case c.fault == "" && (err != nil || output != c.output):
				t.Errorf("got %.100q, error %v, want %.100q", output, err, c.output)
			case c.fault != "" && (err == nil || !strings.Contains(err.Error(), c.fault)):
				t.Errorf("error %v, want %s", err, c.fault)
			}
		})
	}
}

// TestRunIsGivenUp checks that a command does not go on after its context was ended, as a newer epoch does.
func TestRunIsGivenUp(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	begun, went := filepath.Join(t.TempDir(), "begun"), filepath.Join(t.TempDir(), "went on")
	go func() {
		for _, err := os.Stat(begun); err != nil; _, err = os.Stat(begun) {
			time.Sleep(time.Millisecond)
		}
		cancel()
	}()
	if _, err := Run(ctx, "touch "+begun+"; (sleep 1; touch '"+went+"') & wait", time.Minute); err == nil {
		t.Error("a command that was given up returned no error")
	}
	time.Sleep(1200 * time.Millisecond)
	if _, err := os.Stat(went); err == nil {
		t.Error("a process that the command had started went on")
	}
}

// herd has node 0 as its primary, and nodes with these statuses.
func herd(statuses ...failover.Status) failover.Herd {
	h := failover.New()
	h.Epoch, h.Primary = 1, 0
	for i, s := range statuses {
		h.Nodes = append(h.Nodes, failover.Node{Index: i, Status: s})
	}
	return h
}

func TestChanges(t *testing.T) {
	lagging := herd(failover.Up, failover.Down)
	lagging.Nodes[1].NotStreaming = true
	elected := herd(failover.Down, failover.Up)
	elected.Phase, elected.Primary, elected.Former = failover.Electing, failover.None, 0
	for name, c := range map[string]struct {
		before, next failover.Herd
		want         []Change
	}{
		"nothing":                    {herd(failover.Up, failover.Up), herd(failover.Up, failover.Up), nil},
		"a standby is lost":          {herd(failover.Up, failover.Up), herd(failover.Up, failover.Down), []Change{{Node: 1}}},
		"a standby is detached":      {herd(failover.Up, failover.Up), herd(failover.Up, failover.Detached), []Change{{Node: 1}}},
		"a lost standby is detached": {herd(failover.Up, failover.Down), herd(failover.Up, failover.Detached), nil},
		"a standby is back":          {herd(failover.Up, failover.Down), herd(failover.Up, failover.Up), []Change{{1, true}}},
		"a standby was recovered":    {herd(failover.Up, failover.Recovering), herd(failover.Up, failover.Up), []Change{{1, true}}},
		"a standby stops streaming":  {herd(failover.Up, failover.Up), lagging, nil},
		"a standby streams again":    {lagging, herd(failover.Up, failover.Up), nil},
		"the first sight":            {failover.New(), herd(failover.Up, failover.Up), nil},
		"the primary is lost":        {herd(failover.Up, failover.Up), elected, nil},
		"the primary is back":        {elected, herd(failover.Up, failover.Up), nil},
		"a standby in quarantine":    {herd(failover.Up, failover.Up), herd(failover.Up, failover.Quarantined), nil},
	} {
		t.Run(name, func(t *testing.T) {
			if got := Changes(c.before, c.next); !reflect.DeepEqual(got, c.want) {
				t.Errorf("got %v, want %v", got, c.want)
			}
		})
	}
}
