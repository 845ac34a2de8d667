package recovery

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"pgherd/proxy/nodes"
)

// hands carries out a recovery's steps, or fails at them.
type hands struct {
	did     []string
	fails   map[string]error // errors, by step
	answers bool
	up      bool
	hangs   time.Duration // the time that the copy takes
	missing []string
}

func (h *hands) do(what string) error {
	h.did = append(h.did, what)
	return h.fails[strings.Fields(what)[0]]
}

func (h *hands) Run(ctx context.Context, n *nodes.Node, program string, arguments ...string) (string, error) {
	select {
	case <-time.After(h.hangs):
	case <-ctx.Done():
		h.did = append(h.did, "cut short: "+program)
		return "", ctx.Err()
	}
	return "", h.do(fmt.Sprint(program, " on ", n.Index, " ", strings.Join(arguments, " ")))
}
func (h *hands) Preflight(_ context.Context, _ *Node, scripts ...string) ([]string, error) {
	if h.missing != nil {
		h.missing = append(h.missing, strings.Join(scripts, " "))
	}
	return h.missing, h.fails["preflight"]
}
func (h *hands) Hold(context.Context, *nodes.Node) (func(), error) {
	return func() { _ = h.do("free") }, h.do("hold")
}
func (h *hands) CopyProgress(context.Context, *nodes.Node) int { return 42 }
func (h *hands) Answers(context.Context, int) bool             { return h.answers }
func (h *hands) Up(int) bool                                   { return h.up }
func (h *hands) Attach(_ context.Context, node int, by string) error {
	h.up = h.fails["stream"] == nil
	return h.do(fmt.Sprint("attach ", node, " ", by))
}

func plan() Plan {
	node := func(i int) Node {
		return Node{nodes.Node{Index: i, Host: fmt.Sprint("db", i), Port: 5430 + i}, fmt.Sprint("/data", i)}
	}
	return Plan{Target: node(2), Primary: node(0), Command: "copy.sh", HeldFor: time.Minute, Timeout: time.Minute}
}

// TestSteps checks that the steps run one after the other, with Pgpool-II's arguments.
func TestSteps(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := &hands{hangs: 3 * time.Second}
		r := New(h, time.Now)
		if _, known := r.State(); known {
			t.Error("there is a recovery before the first one")
		}
		ended := make(chan error)
		go func() { ended <- r.Run(t.Context(), plan(), "alice") }()
		time.Sleep(2 * time.Second)
		if s, _ := r.State(); s.Step != Copies || s.Percent != 42 || s.Node != 2 || s.By != "alice" {
			t.Errorf("the state is %+v", s)
		}
		if err := r.Run(t.Context(), plan(), "bob"); err == nil || !strings.Contains(err.Error(), "running already") {
			t.Errorf("a second recovery at the same time: got error %v", err)
		}
		if err := <-ended; err != nil {
			t.Fatal(err)
		}
		want := []string{"copy.sh on 0 /data0 db2 /data2 5430 2 5432 db0", "pgpool_remote_start on 0 db2 /data2", "attach 2 alice"}
		if !slices.Equal(h.did, want) {
			t.Errorf("the steps were %q", h.did)
		}
		if s, _ := r.State(); s.Step != Done || s.Ended.IsZero() {
			t.Errorf("the state is %+v", s)
		}
	})
}

// TestFailures checks that the error names the step that fails, with its reason, and that nothing is done after it.
func TestFailures(t *testing.T) {
	broken := errors.New("no space left on device")
	for name, c := range map[string]struct {
		change func(*hands, *Plan)
		want   string
		did    int
	}{
		"the primary":     {func(_ *hands, p *Plan) { p.Target = p.Primary }, "recover node 0, preflight: it is the primary", 0},
		"no command":      {func(_ *hands, p *Plan) { p.Command = "" }, "preflight: recovery_1st_stage_command is not set", 0},
		"no data folder":  {func(_ *hands, p *Plan) { p.Target.DataDirectory = "" }, "preflight: backend_data_directory0 and backend_data_directory2", 0},
		"PostgreSQL runs": {func(h *hands, _ *Plan) { h.answers = true }, "preflight: PostgreSQL answers there", 0},
		"the scripts": {func(h *hands, p *Plan) { h.missing, p.Second = []string{"wal_level"}, "second.sh" },
			"recover node 2, preflight: node 0, the primary, lacks: wal_level; copy.sh second.sh pgpool_remote_start", 0},
		"the look at the primary":     {func(h *hands, _ *Plan) { h.fails = map[string]error{"preflight": broken} }, "preflight: no space left on device", 0},
		"the hold":                    {func(h *hands, p *Plan) { h.fails, p.Second = map[string]error{"hold": broken}, "second.sh" }, "2nd stage: no space left on device", 2},
		"the second stage":            {func(h *hands, p *Plan) { h.fails, p.Second = map[string]error{"second.sh": broken}, "second.sh" }, "2nd stage: no space left on device", 4},
		"the copy":                    {func(h *hands, _ *Plan) { h.fails = map[string]error{"copy.sh": broken} }, "recover node 2, 1st stage: no space left on device", 1},
		"the start":                   {func(h *hands, _ *Plan) { h.fails = map[string]error{startCommand: broken} }, "start: no space left on device", 2},
		"the standby does not stream": {func(h *hands, _ *Plan) { h.fails = map[string]error{"stream": broken} }, "follow: it does not stream", 3},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h, p := &hands{}, plan()
				c.change(h, &p)
				r := New(h, time.Now)
				err := r.Run(t.Context(), p, "alice")
				if err == nil || !strings.Contains(err.Error(), c.want) || len(h.did) != c.did {
					t.Errorf("got error %v; the steps were %q", err, h.did)
				}
				if s, _ := r.State(); s.Step != Failed || s.Why == "" || s.In == "" {
					t.Errorf("the state is %+v", s)
				}
			})
		})
	}
}

// TestSecondStage checks that transactions wait while the second stage runs, and only then, however it ends.
func TestSecondStage(t *testing.T) {
	for hangs, want := range map[time.Duration][]string{
		time.Second:     {"copy.sh", "hold", "second.sh", "free", startCommand, "attach"},
		3 * time.Second: {"copy.sh", "hold", "cut", "free"},
	} {
		synctest.Test(t, func(t *testing.T) {
			h, p := &hands{hangs: hangs}, plan()
			p.Second, p.HeldFor = "second.sh", 2*time.Second
			err := New(h, time.Now).Run(t.Context(), p, "alice")
			if short := hangs > p.HeldFor; (err != nil) != short || short && !strings.Contains(err.Error(), "2nd stage: second.sh does not end within 2s") {
				t.Errorf("got error %v", err)
			}
			var did []string
			for _, d := range h.did {
				did = append(did, strings.Fields(d)[0])
			}
			if !slices.Equal(did, want) {
				t.Errorf("the steps were %q", h.did)
			}
		})
	}
}
