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
	// shrinkLimit limits the time of a shrink.
	shrinkLimit = time.Minute
)

// types are the types that column a of table t may have. Its value is always 1.
var types = []string{"int4", "float4", "int8", "text"}

// act is the kind of a step.
type act int

const (
	prepares  act = iota // sends Close and Parse
	describes            // sends a Describe of the statement
	runs                 // sends Bind and Execute
	shows                // sends Bind, a Describe of the portal, and Execute
	inserts              // sends the same for a statement with a parameter
	begins
	ends
	alters // alters the table, by another connection or through pgherd
	leaves // the client leaves, and connects again
)

var acts = []string{"prepares", "describes", "runs", "shows", "inserts", "begins", "ends", "alters", "leaves"}

// step is one thing that happens.
type step struct {
	act     act
	client  int
	name    string // name of a statement
	reads   bool   // for prepares: a SELECT, otherwise an INSERT
	tells   bool   // for prepares: also sends a Describe
	to      string // for alters: the new type
	through bool   // for alters: by a client of pgherd
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
