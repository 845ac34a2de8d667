package differential

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"time"

	"pgherd/bench/herd"
)

const (
	stepLimit    = 30 * time.Second // for one step's answer to arrive
	longestReply = 64 << 20         // bytes in one message
)

// transcript is what a run has received: for each step, a readable line for every message, complete to the byte
// except for masks; and a summary of it.
type transcript struct {
	steps     [][]string
	summaries []string
	refused   bool // the script ended at a BEGIN that pgherd refused
}

func runScript(ctx context.Context, h *herd.Herd, to target, s *script) (transcript, error) {
	var t transcript
	c, err := dial(to, s)
	if err != nil {
		return t, err
	}
	defer c.conn.Close()
	t.steps = append(t.steps, c.greeting())
	for _, st := range s.steps {
		ends := st.pgherdEnds != "" && !to.direct
		if ends {
			st.until = until{kind: endOfStream, count: 1}
		}
		lines, summary, err := c.step(ctx, h, &st)
		t.steps = append(t.steps, lines)
		t.summaries = append(t.summaries, summary)
		if t.refused = errors.Is(err, errRefused); t.refused {
			return t, nil
		}
		if err != nil {
			return t, fmt.Errorf("%s: %s line %d: %w; so far: %s", to.name, s.path, st.line+1, err, summary)
		}
		if ends {
			return t, nil
		}
	}
	return t, c.finish(&t)
}

// step sends and reads at the same time, because otherwise each side could wait for the other.
func (c *talk) step(ctx context.Context, h *herd.Herd, st *step) (lines []string, summary string, err error) {
	for _, sql := range st.aside {
		if _, err := h.Exec(ctx, sql); err != nil {
			return nil, "", err
		}
	}
	if st.cancel {
		if err := c.cancel(); err != nil {
			return nil, "", err
		}
	}
	if err := c.conn.SetDeadline(time.Now().Add(stepLimit)); err != nil {
		return nil, "", err
	}
	sent := make(chan error, 1)
	go func() { sent <- c.write(st.send, st.pieces) }()
	var short summarizer
	lines, err = c.readUntil(st.until, &short)
	if wrote := <-sent; err == nil && st.until.kind != endOfStream {
		err = wrote // a connection that has ended may refuse the rest
	}
	return lines, short.String(), err
}

func (c *talk) write(data []byte, pieces int) error {
	if pieces == 0 {
		pieces = max(1, len(data))
	}
	for piece := range slices.Chunk(data, pieces) {
		if _, err := c.conn.Write(piece); err != nil {
			return err
		}
	}
	return nil
}

func (c *talk) readUntil(u until, short *summarizer) ([]string, error) {
	var lines []string
	for n := 0; n < u.count; {
		kind, body, err := c.read()
		// This is a reset: the other side has closed before it had read all that was sent.
		if u.kind == endOfStream && (errors.Is(err, io.EOF) || errors.Is(err, syscall.ECONNRESET)) {
			short.add("EOF")
			return append(lines, "EOF"), nil
		}
		if err != nil {
			return lines, fmt.Errorf("read: %w", err)
		}
		lines = append(lines, describe(kind, body, c.script.masks))
		short.add(summary(kind, body))
		if refusedPattern.MatchString(lines[len(lines)-1]) {
			return lines, errRefused
		}
		if u.kind == 0 || u.kind == kind {
			n++
		}
	}
	return lines, nil
}

func (c *talk) read() (byte, []byte, error) {
	var header [5]byte
	if _, err := io.ReadFull(c.in, header[:]); err != nil {
		return 0, nil, err
	}
	length := int(binary.BigEndian.Uint32(header[1:])) - 4
	if length < 0 || length > longestReply {
		return 0, nil, fmt.Errorf("message %q has a length of %d bytes", header[0], length)
	}
	body := make([]byte, length)
	if _, err := io.ReadFull(c.in, body); err != nil {
		return 0, nil, fmt.Errorf("in message %q: %w", header[0], errors.Join(err, io.ErrUnexpectedEOF))
	}
	return header[0], body, nil
}

// finish checks that nothing more was owed, and that the session still works.
func (c *talk) finish(t *transcript) error {
	last := c.script.steps[len(c.script.steps)-1]
	if last.until.kind == endOfStream {
		return nil
	}
	st := step{send: mustEncode("Query", "rollback; select 'the end'"), until: until{kind: 'Z', count: 1}}
	lines, short, err := c.step(context.Background(), nil, &st)
	t.steps = append(t.steps, lines)
	if err == nil && !strings.HasSuffix(short, "T D C Z:I") {
		err = fmt.Errorf("%s: the session is unusable after the script: %s", c.script.path, short)
	}
	return err
}

func mustEncode(word string, args ...string) []byte {
	var a arguments
	for _, text := range args {
		a = append(a, token{text, true})
	}
	encoded, err := encode(word, &a)
	if err != nil {
		panic(err)
	}
	return encoded
}

// firstUserOID is the first OID of users' tables, which differ from run to run.
const firstUserOID = 16384

// describe writes a message complete to the byte, except for what differs between runs: process numbers of
// notifications, OIDs of users' tables, and what the script masks.
func describe(kind byte, body []byte, masks []*regexp.Regexp) string {
	switch kind {
	case 'A':
		body = append([]byte("PID!"), body[min(4, len(body)):]...)
	case 'T':
		body = maskTables(slices.Clone(body))
	}
	line := fmt.Sprintf("%c %q", kind, body)
	for _, mask := range masks {
		line = mask.ReplaceAllString(line, "<masked>")
	}
	return line
}

// maskTables overwrites the table's OID of each field of a RowDescription.
func maskTables(body []byte) []byte {
	const afterTable = 2 + 4 + 2 + 4 + 2 // column, type, size, modifier, format
	rest := body[min(2, len(body)):]
	for {
		end := slices.Index(rest, 0)
		if end < 0 || len(rest) < end+1+4+afterTable {
			return body
		}
		rest = rest[end+1:]
		if binary.BigEndian.Uint32(rest) >= firstUserOID {
			copy(rest, "USER")
		}
		rest = rest[4+afterTable:]
	}
}

// summary is a message in a few letters: its kind, and its state or SQLSTATE.
func summary(kind byte, body []byte) string {
	switch kind {
	case 'Z':
		return "Z:" + string(body)
	case 'E', 'N':
		for field := range strings.SplitSeq(string(body), "\x00") {
			if strings.HasPrefix(field, "C") {
				return string(kind) + ":" + field[1:]
			}
		}
	}
	return string(kind)
}

// summarizer joins summaries. It writes "D*3" for a run of three, and "(T D C Z:I)*3" for three equal answers up
// to ReadyForQuery.
type summarizer struct{ answer, answers runs }

func (s *summarizer) add(word string) {
	s.answer.add(word)
	if strings.HasPrefix(word, "Z:") {
		s.answers.add(s.answer.String())
		s.answer = runs{}
	}
}

func (s *summarizer) String() string {
	return strings.TrimSpace(s.answers.String() + " " + s.answer.String())
}

// runs counts equal neighbours.
type runs struct {
	words  []string
	counts []int
}

func (r *runs) add(word string) {
	if n := len(r.words); n > 0 && r.words[n-1] == word {
		r.counts[n-1]++
		return
	}
	r.words, r.counts = append(r.words, word), append(r.counts, 1)
}

func (r *runs) String() string {
	var all []string
	for i, word := range r.words {
		if r.counts[i] > 1 && strings.Contains(word, " ") {
			word = "(" + word + ")"
		}
		if r.counts[i] > 1 {
			word += fmt.Sprintf("*%d", r.counts[i])
		}
		all = append(all, word)
	}
	return strings.Join(all, " ")
}
