package differential

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"pgherd/bench/herd"
	"pgherd/bench/herd/herdtest"
)

// proxies are the ways in which pgherd is run in front of the same node. In statement mode scripts are cut
// short, so that mode comes last.
var proxies = []proxy{
	{name: "session, epoll", config: "pool_mode = session\nio_engine = epoll"},
	{name: "session, io_uring", config: "pool_mode = session\nio_engine = io_uring"},
	{name: "transaction, epoll, no streams", config: "pool_mode = transaction\nio_engine = epoll\nstream_results = off", shared: true},
	{name: "transaction, io_uring, in a crowd", config: "pool_mode = transaction\nio_engine = io_uring\n" + crowded, shared: true, crowd: 4},
	{name: "statement, io_uring", config: "pool_mode = statement\nio_engine = io_uring", shared: true, refuses: true},
	{name: "session, epoll, balanced", config: "pool_mode = session\nio_engine = epoll\n" + allAway, shared: true, balanced: true},
	{name: "transaction, io_uring, balanced, in a crowd", config: "pool_mode = transaction\nio_engine = io_uring\n" + crowded + allAway, shared: true, balanced: true, crowd: 4},
}

// allAway makes the standby run every read that may leave the primary.
const allAway = "\nbackend_weight0 = 0\nstatement_level_load_balance = on\n"

type proxy struct {
	name, config string
	shared       bool // servers are shared between transactions
	crowd        int  // number of clients that use and change the servers meanwhile
	refuses      bool // explicit transactions are refused
	balanced     bool // a standby gets the reads
}

// awaitReads waits until the standby gets reads, and returns their number.
func awaitReads(t *testing.T, p *herd.Proxy) (n int) {
	t.Helper()
	herdtest.Eventually(t, "the standby gets reads", func() error {
		ask(t, p, "SELECT 1")
		if n = readsAway(t, p); n == 0 {
			return errors.New("the standby has got no reads so far")
		}
		return nil
	})
	return n
}

// readsAway is the number of reads that the standby was sent.
func readsAway(t *testing.T, p *herd.Proxy) int {
	t.Helper()
	n, err := strconv.Atoi(string(ask(t, p, "SHOW POOL_BACKEND_STATS")[1][5]))
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// ask returns the rows of a query, which a client of its own sends.
func ask(t *testing.T, p *herd.Proxy, sql string) [][][]byte {
	t.Helper()
	conn, err := herdtest.Connect(fmt.Sprintf("host=%s port=%d user=%s dbname=%s sslmode=disable", p.Host, p.Port, herd.User, herd.Database))
	if err != nil {
		t.Fatal(err)
	}
	defer herdtest.Close(conn)
	ctx, cancel := herdtest.Limited(herdtest.AnswerLimit)
	defer cancel()
	results, err := conn.Exec(ctx, sql).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	return results[len(results)-1].Rows
}

type difference struct {
	script, why string
	pattern     *regexp.Regexp
}

// differences are what a client may see where servers are shared: the script, the part of PostgreSQL's or
// pgherd's answer that is left out of the comparison, and the reason.
var differences = []difference{
	{"pipeline-error-in-bind", "the server knows the statement by a name of pgherd's, which its error cites",
		regexp.MustCompile(`prepared statement \\"(s|pgherd_\w+)\\" requires`)},
	{"prepared-reuse", "PostgreSQL's error about a name that is taken comes in pgherd's words: without file and line of its source",
		regexp.MustCompile(`already exists(\\x00Fprepare\.c\\x00L\d+\\x00RStorePreparedStatement)?`)},
	{"prepared-reuse", "on a new server a Bind in a failed transaction is preceded by a Parse, which fails in its place",
		regexp.MustCompile(`L\d+\\x00Rexec_(bind|parse)_message`)},
	{"prepared-stale-plan", "a statement whose plan DDL has made stale is prepared again and repeated: nothing has been sent yet",
		regexp.MustCompile(`(?m)^(E .*Mcached plan must not change result type.*|2 ""\nD "\\x00\\x02.*\nC .*)`)},
}

// leaveOut removes from the steps of a run what may differ.
func leaveOut(script string, t transcript) transcript {
	out := transcript{summaries: t.summaries, refused: t.refused}
	for _, lines := range t.steps {
		text := strings.Join(lines, "\n")
		for _, d := range differences {
			if d.script == script {
				text = d.pattern.ReplaceAllString(text, "<"+d.why+">")
			}
		}
		out.steps = append(out.steps, strings.Split(text, "\n"))
	}
	return out
}

// compareShared compares, and leaves out what differs by design.
func compareShared(t *testing.T, s *script, want, got transcript) {
	t.Helper()
	compareProxied(t, s, leaveOut(name(s), want), leaveOut(name(s), got))
	listed := slices.ContainsFunc(differences, func(d difference) bool { return d.script == name(s) })
	if listed && !got.refused && slices.EqualFunc(want.steps, got.steps, slices.Equal[[]string]) {
		t.Error("the answers no longer differ: remove the script from the list of differences")
	}
}

var (
	beginPattern   = regexp.MustCompile(`(?i)["\s](begin|start transaction)(\s[^";]*(isolation|read|deferrable)[^";]*)?\s*[";]`)
	refusedPattern = regexp.MustCompile(`C0A000\\x00Mexplicit transactions are not allowed in pool_mode = statement\\x00H`)
	errRefused     = errors.New("explicit transactions are refused")
)

// begins says that s sends a BEGIN.
func begins(s *script) bool {
	return slices.ContainsFunc(s.lines, beginPattern.MatchString)
}

// compareRefused compares up to a BEGIN that was refused.
func compareRefused(t *testing.T, s *script, want, got transcript) {
	t.Helper()
	if !got.refused {
		t.Error("BEGIN was not refused")
		return
	}
	last := len(got.steps) - 1
	answered := len(got.steps[last]) - 1
	if last >= len(want.steps) || answered > len(want.steps[last]) {
		t.Errorf("step %d: more answers than expected: %q", last, got.steps[last])
		return
	}
	got.steps[last] = got.steps[last][:answered]
	want.steps = append(slices.Clone(want.steps[:last]), want.steps[last][:answered])
	compareShared(t, s, want, got)
}
