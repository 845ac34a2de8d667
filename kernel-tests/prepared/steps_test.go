package prepared_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"
)

const (
	clients   = 3
	names     = 2
	stepsEach = 30
	// shrinkLimit bounds a shrink.
	shrinkLimit = time.Minute
)

// types are what the column a of table t may be; its value is always 1.
var types = []string{"int4", "float4", "int8", "text"}

// act is what a step does.
type act int

const (
	prepares  act = iota // Close and Parse
	describes            // the statement
	runs                 // Bind and Execute
	shows                // Bind, Describe of the portal and Execute
	inserts              // the same, of a statement with a parameter
	begins
	ends
	alters // by another connection, or through pgherd
	leaves // and comes again
)

var acts = []string{"prepares", "describes", "runs", "shows", "inserts", "begins", "ends", "alters", "leaves"}

// step is one thing that happens.
type step struct {
	act     act
	client  int
	name    string // of a statement
	reads   bool   // prepares: a SELECT, else an INSERT
	tells   bool   // prepares: and describes
	to      string // alters: the type
	through bool   // alters: by a client of pgherd
}

func (s step) String() string {
	text := fmt.Sprintf("client %d %s", s.client, acts[s.act])
	switch s.act {
	case prepares:
		text += fmt.Sprintf(" %q reads=%v described=%v", s.name, s.reads, s.tells)
	case describes, runs, shows, inserts:
		text += fmt.Sprintf(" %q", s.name)
	case alters:
		text = fmt.Sprintf("a becomes %s, through pgherd: %v", s.to, s.through)
	}
	return text
}

func text(steps []step) string {
	var b strings.Builder
	for _, s := range steps {
		fmt.Fprintf(&b, "  %v\n", s)
	}
	return b.String()
}

// generate makes the steps of a seed.
func generate(seed uint64) (steps []step) {
	random := rand.New(rand.NewPCG(seed, 11))
	weights := []act{prepares, prepares, prepares, describes, runs, runs, runs, shows, inserts, inserts, begins, begins, ends, alters, alters, leaves}
	for range stepsEach {
		steps = append(steps, step{
			act: weights[random.IntN(len(weights))], client: random.IntN(clients),
			name: []string{"", "s1", "s2"}[random.IntN(names+1)], reads: random.IntN(3) > 0, tells: random.IntN(2) == 0,
			to: types[random.IntN(len(types))], through: random.IntN(2) == 0,
		})
	}
	return steps
}

// shrink removes the steps that a failure does not need.
func shrink(steps []step, fails func([]step) bool) []step {
	deadline := time.Now().Add(shrinkLimit)
	for size := len(steps) / 2; size > 0; size /= 2 {
		for i := 0; i+size <= len(steps) && time.Now().Before(deadline); {
			if some := slices.Concat(steps[:i], steps[i+size:]); fails(some) {
				steps = some
			} else {
				i += size
			}
		}
	}
	return steps
}
