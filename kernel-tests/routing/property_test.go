package routing_test

import (
	"bytes"
	"fmt"
	"net"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"pgherd/bench/herd"
)

// balanced sends every read that may leave the primary to a standby.
const balanced = "backend_weight0 = 0\nread_consistency = session\nread_consistency_wait = 500\n"

// atOnce is how many scripts run at the same time.
const atOnce = 4

// TestAnswersAreThePrimarys checks that a session gets the answers that it would get from the primary alone, whatever it
// does, although reads go to standbys. In two of the runs the standbys are late, so that most reads would miss what their
// session has written.
func TestAnswersAreThePrimarys(t *testing.T) {
	first := uint64(1)
	for _, p := range []struct{ config, delay string }{
		{"pool_mode = session\nio_engine = epoll\nstatement_level_load_balance = on", "20ms"},
		{"pool_mode = session\nio_engine = io_uring", "0"},
		{"pool_mode = transaction\nio_engine = epoll", "0"},
		{"pool_mode = transaction\nio_engine = io_uring\nstatement_level_load_balance = on\nallow_sql_comments = on\ndefault_pool_size = 2", "20ms"},
	} {
		t.Run(strings.NewReplacer("\n", ",", " ", "").Replace(p.config), func(t *testing.T) {
			holdBack(t, p.delay)
			h := &hunt{t: t, proxy: startProxy(t, balanced+p.config+"\n"), direct: net.JoinHostPort("127.0.0.1", strconv.Itoa(world.herd.Nodes()[0].Port))}
			h.ready()
			last := first + uint64(times(*seeds))
			if *seed != 0 {
				first, last = *seed, *seed+1
			}
			h.run(first, last)
			first = last
		})
	}
}

// hunt runs scripts through one pgherd and without it.
type hunt struct {
	t      *testing.T
	proxy  *herd.Proxy
	direct string

	mu      sync.Mutex
	failed  int
	reads   int // number of reads that could leave the primary
	refused int // number of statements that the primary itself refused in a read-only transaction
}

// ready waits until both standbys get reads.
func (h *hunt) ready() {
	for node := 1; node <= 2; node++ {
		from := logged(h.t, node)
		eventually(h.t, fmt.Sprintf("node %d gets reads", node), func() error {
			conn, err := tryConnect(h.proxy)
			if err != nil {
				return err
			}
			defer closeConn(conn)
			if _, err := ask(conn, "SELECT 'is it there?' FROM item"); err != nil {
				return err
			}
			log, err := os.ReadFile(world.herd.Log(node))
			if err == nil && !bytes.Contains(log[from:], []byte("is it there?")) {
				err = fmt.Errorf("a standby's log has no reads")
			}
			return err
		})
	}
}

func (h *hunt) run(first, last uint64) {
	from := [2]int{logged(h.t, 1), logged(h.t, 2)}
	next := make(chan uint64)
	var all sync.WaitGroup
	for range atOnce {
		all.Go(func() {
			for seed := range next {
				h.one(seed)
			}
		})
	}
	for seed := first; seed < last && h.goesOn(); seed++ {
		next <- seed
	}
	close(next)
	all.Wait()
	if h.goesOn() && *seed == 0 {
		h.count(from)
	}
}

func (h *hunt) goesOn() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.failed < *tries
}

// one runs the script of a seed. If it fails, it is shrunk.
func (h *hunt) one(seed uint64) {
	steps := generate(seed)
	why := h.play(steps, true)
	if why == "" {
		return
	}
	h.mu.Lock()
	h.failed++
	h.mu.Unlock()
	h.t.Errorf("seed %d (-run '%s' -routing.seed %d): %s", seed, h.t.Name(), seed, why)
	small := h.shrink(steps)
	why = h.play(small, false)
	h.t.Errorf("seed %d, shrunk:\n%s\n%s", seed, script(small), why)
}

func script(steps []step) string {
	var lines []string
	for _, st := range steps {
		lines = append(lines, "  "+st.text)
	}
	return strings.Join(lines, "\n")
}

// play runs a script through pgherd and without it. It returns "" if all answers are equal.
func (h *hunt) play(steps []step, counts bool) string {
	through, err := open(h.proxy.Addr(), herd.Database)
	if err != nil {
		return err.Error()
	}
	defer through.leave()
	direct, err := open(h.direct, twins)
	if err != nil {
		return err.Error()
	}
	defer direct.leave()
	for i, st := range steps {
		failed := direct.status == 'E'
		want, got := direct.say(st), through.say(st)
		if failed && undescribed(missing(want, got), missing(got, want)) {
			continue
		}
		if slices.ContainsFunc(got, refused) || slices.ContainsFunc(slices.Concat(want, got), conflicts) {
			return "" // the answers after that differ
		}
		want, got = append(want, direct.parameters()...), append(got, through.parameters()...)
		if !slices.Equal(want, got) {
			return fmt.Sprintf("step %d: %s\nwant %s\ngot  %s", i, st.text, strings.Join(missing(want, got), "\n     "), strings.Join(missing(got, want), "\n     "))
		}
		if counts {
			h.note(st, want)
		}
	}
	return ""
}

// undescribed is the one answer that may differ: in a failed block PostgreSQL describes a statement that returns no rows,
// but a server that has not prepared the statement cannot prepare it there.
func undescribed(want, got []string) bool {
	return len(want) == 2 && strings.HasPrefix(want[0], "ParameterDescription") && strings.HasPrefix(want[1], "NoData") &&
		len(got) > 0 && strings.Contains(got[0], "25P02")
}

// refused is pgherd's error for what a session cannot have on a standby.
func refused(line string) bool {
	return strings.Contains(line, "is not possible in a transaction that reads on a standby")
}

// conflicts are errors that a serializable transaction may get because of another script's transaction, on either side.
func conflicts(line string) bool { return strings.Contains(line, "40001 could not serialize access") }

// missing are the lines of some that others lacks, or all of them if only the order differs.
func missing(some, others []string) (all []string) {
	for _, line := range some {
		if !slices.Contains(others, line) {
			all = append(all, line)
		}
	}
	if len(all) == 0 {
		return some
	}
	return all
}

const readOnly = "in a read-only transaction"

func (h *hunt) note(st step, answer []string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.reads += st.reads
	h.refused += strings.Count(strings.Join(answer, "\n"), readOnly)
}

// shrinkLimit limits a shrink, each try of which may wait in vain for an answer.
const shrinkLimit = 30 * time.Second

// shrink removes the steps that a failure does not need.
func (h *hunt) shrink(steps []step) []step {
	deadline := time.Now().Add(shrinkLimit)
	for size := len(steps) / 2; size > 0; size /= 2 {
		for at := 0; at+size <= len(steps) && time.Now().Before(deadline); {
			if less := slices.Concat(steps[:at], steps[at+size:]); h.play(less, false) != "" {
				steps = less
			} else {
				at += size
			}
		}
	}
	return steps
}

// logged is the length of a node's log.
func logged(t *testing.T, node int) int {
	t.Helper()
	info, err := os.Stat(world.herd.Log(node))
	if err != nil {
		t.Fatal(err)
	}
	return int(info.Size())
}

// share is the part of the reads that must run on standbys at least. Many cannot, because their session has left
// something on the primary, or their transaction has written.
const share = 0.08

// isRead finds a read of a script.
var isRead = regexp.MustCompile(`LOG:  (statement|execute [^:]*): .*(item|total\(|VALUES \(1)`)

// count counts the statements in the standbys' logs.
func (h *hunt) count(from [2]int) {
	reads, refused := 0, 0
	for i, offset := range from {
		log, err := os.ReadFile(world.herd.Log(i + 1))
		if err != nil {
			h.t.Fatal(err)
		}
		for line := range bytes.SplitSeq(log[offset:], []byte("\n")) {
			switch {
			case !bytes.HasPrefix(line, []byte(herd.User+"@")):
			case bytes.Contains(line, []byte("ERROR:  cannot ")) && (bytes.Contains(line, []byte(readOnly)) || bytes.Contains(line, []byte("recovery"))):
				refused++
				h.t.Logf("a standby has logged: %s", line)
			case isRead.Match(line):
				reads++
			}
		}
	}
	h.t.Logf("%d reads, of which standbys ran %d", h.reads, reads)
	if refused > h.refused {
		h.t.Errorf("standbys refused %d writes, want %d at most, as many as the primary", refused, h.refused)
	}
	if float64(reads) < share*float64(h.reads) {
		h.t.Errorf("standbys got only %d of %d reads", reads, h.reads)
	}
}
