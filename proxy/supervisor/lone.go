package supervisor

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"pgherd/proxy/failover"
)

// Lone is the council of a pgherd that is alone: a file. It leads always.
type Lone struct {
	file  File
	apply func(failover.Command) error
	herd  failover.Herd
}

// File is where the herd's state is kept, and of which nodes.
type File struct {
	Path  string
	Nodes []string // the number and the address of each, as "0 host:port"
}

// state is what stands in the file.
type state struct {
	Nodes []string        `json:"nodes"`
	Herd  json.RawMessage `json:"herd"`
}

// ErrOtherNodes says that the file is of other nodes than those that are configured.
var ErrOtherNodes = errors.New("it is of other nodes")

// Load reads the herd from the file; one that begins anew where there is none.
func (f File) Load() (failover.Herd, error) {
	text, err := os.ReadFile(f.Path)
	if errors.Is(err, os.ErrNotExist) {
		return failover.New(), nil
	}
	var s state
	if err == nil {
		err = json.Unmarshal(text, &s)
	}
	switch {
	case err != nil:
	case s.Nodes == nil:
		err = errors.New("it names no nodes: it is none that pgherd has written")
	case !f.continues(s.Nodes):
		err = ErrOtherNodes
	}
	if err != nil {
		return failover.New(), fmt.Errorf("read the herd's state in %s: %w", f.Path, err)
	}
	h, err := failover.Load(s.Herd)
	if err != nil {
		return failover.New(), fmt.Errorf("read the herd's state in %s: %w", f.Path, err)
	}
	if h.Epoch > 0 && !f.leads(h) {
		return failover.New(), fmt.Errorf("read the herd's state in %s: %w: its primary is not configured", f.Path, ErrOtherNodes)
	}
	return h, nil
}

// continues says that these nodes and those that are configured now are of one herd: one may be
// added or removed, but no number may mean another node than it did.
func (f File) continues(nodes []string) bool {
	both := 0
	for _, was := range nodes {
		for _, is := range f.Nodes {
			if number(was) == number(is) {
				if was != is {
					return false
				}
				both++
			}
		}
	}
	return both > 0
}

// leads says that the node is configured which leads the herd, or whose place is to be taken.
func (f File) leads(h failover.Herd) bool {
	lead := h.Primary
	if lead == failover.None {
		lead = h.Former
	}
	return slices.ContainsFunc(f.Nodes, func(n string) bool { return number(n) == strconv.Itoa(lead) })
}

// number is that of a node, with which its line in the file begins.
func number(line string) string {
	n, _, _ := strings.Cut(line, " ")
	return n
}

// NewLone makes one whose file has this herd; apply is called for each command.
func NewLone(f File, herd failover.Herd, apply func(failover.Command) error) *Lone {
	return &Lone{file: f, herd: herd, apply: apply}
}

// Leads says that it decides.
func (l *Lone) Leads() bool { return true }

// Tell has nobody to tell.
func (l *Lone) Tell(Report) {}

// Unlicensed says nothing, for there are no licences.
func (l *Lone) Unlicensed(string, uint64) bool { return false }

// Propose writes the herd that the command makes, and then applies it.
func (l *Lone) Propose(_ context.Context, c failover.Command) error {
	next, err := failover.Apply(l.herd, c)
	if err != nil {
		return err
	}
	if err := l.file.Save(next); err != nil {
		return err
	}
	l.herd = next
	return l.apply(c)
}

// Save writes the herd to the file, and returns once that outlives a loss of power.
func (f File) Save(h failover.Herd) error {
	herd, err := json.Marshal(h)
	if err != nil {
		return err
	}
	text, err := json.MarshalIndent(state{f.Nodes, herd}, "", "  ")
	if err != nil {
		return err
	}
	if err := replace(f.Path, append(text, '\n')); err != nil {
		return fmt.Errorf("write the herd's state: %w", err)
	}
	return nil
}

// replace replaces a file as a whole: a reader sees the old one or the new one.
func replace(path string, text []byte) error {
	f, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".*")
	if err != nil {
		return err
	}
	_, err = f.Write(text)
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	return syncFolder(filepath.Dir(path))
}

func syncFolder(path string) error {
	d, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
