package supervisor

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"

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
	Nodes []string // their addresses, by index
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
	case !slices.Equal(s.Nodes, f.Nodes):
		err = ErrOtherNodes
	}
	if err != nil {
		return failover.New(), fmt.Errorf("read the herd's state in %s: %w", f.Path, err)
	}
	h, err := failover.Load(s.Herd)
	if err != nil {
		return failover.New(), fmt.Errorf("read the herd's state in %s: %w", f.Path, err)
	}
	return h, nil
}

// NewLone makes one whose file has this herd; apply is called for each command.
func NewLone(f File, herd failover.Herd, apply func(failover.Command) error) *Lone {
	return &Lone{file: f, herd: herd, apply: apply}
}

// Leads says that it decides.
func (l *Lone) Leads() bool { return true }

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
