package worker

import (
	"bytes"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"pgherd/proxy/wire"
)

// simLoss is how a client treats lost servers. Its PostgreSQL model handles a request only when the
// answer is compared, so that the model has never handled a request that was lost.
type simLoss struct {
	queue   [][]byte // whole requests whose answers are not compared yet
	partial []byte   // the part of a request that has been sent
	now     []byte   // the current request
	before  postgres // the model before that request
	heard   int      // number of messages of its answer that have arrived
	rows    map[string]rowState
	unknown map[string]bool // rows of which the client was told that this is not known
	handled []string        // rows that the model has handled since it was last in no transaction
	open    bool            // the current request is inside a sequence of the extended protocol
	ahead   bool            // the next one will be, too
	fatal   bool
	pins    bool // clients may pin their servers
	piped   bool // several requests were sent at once, or were not waited for
	temp    bool // it had a temporary object when it was last in no transaction
	sets    bool // it has set something, so that its settings may be uncertain for a while
	seen    bool // the client has had an error that is not from a loss
}

type rowState uint8

const (
	rowLost rowState = iota // the row must not be there
	rowOpen                 // it is not known whether the row is there
	rowDone                 // the row must be there
)

func (l *simLoss) waits() bool { return l != nil && len(l.queue) > 0 }

// sends records what the client sends, perhaps while it still waits for an answer.
func (l *simLoss) sends(b []byte, waits bool) {
	waits = waits || len(l.queue) > 0 || l.piped && len(l.partial) > 0
	defer func() { l.piped = waits || len(l.queue) > 1 }()
	l.partial = append(l.partial, b...)
	for n := messages(l.partial); n > 0; n = messages(l.partial) {
		one := l.partial[:5]
		length := 1 + int(uint32(one[1])<<24|uint32(one[2])<<16|uint32(one[3])<<8|uint32(one[4]))
		l.queue = append(l.queue, l.partial[:length:length])
		l.partial = l.partial[length:]
	}
	for _, row := range rowsOf(b) {
		l.rows[row] = rowOpen
	}
	l.sets = l.sets || bytes.Contains(b, []byte(" SET ")) || bytes.Contains(b, []byte(" STYLE ")) || bytes.Contains(b, []byte(" LOCAL "))
}

// rowsOf returns the rows that these requests would write.
func rowsOf(b []byte) (rows []string) {
	for text := string(b); ; {
		_, after, found := strings.Cut(text, " WRITE ")
		if !found {
			return rows
		}
		end := strings.IndexByte(after, 0)
		if end < 0 {
			return rows
		}
		rows, text = append(rows, after[:end]), after[end:]
	}
}

// compareWithLosses compares what has arrived with the model's answer, and with what the loss of a server may
// change in it.
func (c *simClient) compareWithLosses() error {
	l := c.loss
	for !c.struck && !l.fatal {
		if len(c.model.out) == 0 && !l.next(c.model) {
			if first(c.got) == 0 {
				return nil
			}
		}
		for tells(c.model.out, wire.ParameterStatus) { // the moment of such a report depends on which server the session has
			c.model.out = c.model.out[first(c.model.out):]
		}
		n := first(c.got)
		if n == 0 {
			return nil
		}
		want := c.model.out[:first(c.model.out)]
		if *simTrace {
			fmt.Printf("client %d hears %q for %q\n", c.id, clip(c.got[:n]), clip(l.now))
		}
		switch got := c.got[:n]; {
		case tells(got, wire.ParameterStatus):
		case bytes.Equal(got, want):
			l.heard++
			l.seen = l.seen || got[0] == 'E'
			c.model.out = c.model.out[len(want):]
			l.settle(c.model, got)
		case got[0] == 'E' && len(want) > 0 && want[0] == 'E' && c.model.status == wire.Failed && codeOf(got) == "25P02":
			c.model.out = c.model.out[len(want):]
		case string(got) == string(readyIdle) && string(want) == string(readyFailed) && len(l.queue) > 0: // the block may have been ended by a later request
			c.model.status, c.model.out = wire.Idle, nil
			for _, row := range l.handled {
				l.unknown[row] = true
			}
		case got[0] == 'E':
			if err := l.fails(c, got); err != nil {
				return err
			}
		default:
			return l.unexpected(c)
		}
		c.got = c.got[n:]
	}
	c.got, c.model.out, l.queue = nil, nil, nil
	return nil
}

func (l *simLoss) unexpected(c *simClient) error {
	n := messages(c.got[:alike(c.got, c.model.out)])
	c.got, c.model.out = c.got[n:], c.model.out[n:]
	if k := alike(c.got, c.model.out); k > 40 {
		c.got, c.model.out = c.got[k-20:], c.model.out[k-20:]
	}
	return fmt.Errorf("client %d got %q, want %q, for request %q after %d messages of its answer", c.id, clip(c.got), clip(c.model.out), clip(l.now), l.heard)
}

// first is the length of the first message, or 0 if it has not arrived as a whole.
func first(b []byte) int {
	if len(b) < wire.HeaderLen {
		return 0
	}
	return messages(b[:min(len(b), 1+int(uint32(b[1])<<24|uint32(b[2])<<16|uint32(b[3])<<8|uint32(b[4])))])
}

func tells(b []byte, kind wire.Kind) bool {
	cut := wire.CutReplies()
	if n := first(b); n > 0 {
		m, _, err := cut.Next(b[:n])
		return err == nil && m.Kind == kind
	}
	return false
}

func codeOf(b []byte) string { return wire.ViewFault(b[wire.HeaderLen:]).Code }

// next lets the model handle requests until there is an answer to compare.
func (l *simLoss) next(model *postgres) bool {
	for len(l.queue) > 0 && len(model.out) == 0 {
		l.now, l.queue, l.heard = l.queue[0], l.queue[1:], 0
		l.before = *model
		l.before.stmts, l.before.portals, l.before.written = maps.Clone(model.stmts), maps.Clone(model.portals), slices.Clone(model.written)
		d := *model.database
		d.rows = maps.Clone(d.rows)
		l.before.database = &d
		l.handled = append(l.handled, rowsOf(l.now)...)
		l.open, l.ahead = l.ahead, l.now[0] != 'Q' && l.now[0] != 'S' && l.now[0] != 'F'
		model.feed(l.now)
	}
	return len(model.out) > 0
}

// settle records which rows are written, and which are not, once the model is in no transaction.
func (l *simLoss) settle(model *postgres, got []byte) {
	if got[0] != 'Z' || model.status != wire.Idle {
		return
	}
	for _, row := range l.handled {
		if l.rows[row] = rowLost; model.database.rows[row] > 0 {
			l.rows[row] = rowDone
		}
	}
	l.handled, l.temp = nil, model.temp
}

// fails checks an error that the model does not have.
func (l *simLoss) fails(c *simClient, got []byte) error {
	f := wire.ViewFault(got[wire.HeaderLen:])
	switch {
	case c.cancel && f.Code == "57014":
		c.struck = true
		return nil
	case f.Severity == "FATAL" || f.Severity == "PANIC":
		l.fatal = true
		if c.sent >= 0 && !l.endsFor(c, f.Detail) {
			return fmt.Errorf("client %d was ended without a reason to: %s %s %s", c.id, f.Code, f.Message, f.Detail)
		}
		return nil
	case len(c.model.out) == 0 && len(l.partial) > 0: // a request sent in part is answered
		l.fatal = true
		return nil
	case f.Code == "25P02" && l.before.status == wire.Failed && l.now[0] != 'Q' && l.heard == 0: // the request that would end the failed block was lost
	case f.Code != "40001" && f.Code != "08007", len(c.model.out) == 0:
		return l.unexpected(c)
	case l.before.status == wire.Failed && !(f.Code == "08007" && l.endsBehind()):
		return fmt.Errorf("client %d got %s for a block that had failed before", c.id, f.Code)
	}
	cut := wire.CutRequests()
	m, _, err := cut.Next(l.now)
	if err != nil {
		return err
	}
	twice := strings.Contains(f.Message, "on two servers one after the other") // it was repeated
	if err := l.needless(c, m, f.Code); err != nil && !twice {
		return err
	}
	l.suffers(c.model, m, f.Code)
	return nil
}

var readyIdle, readyFailed = wire.AppendReadyForQuery(nil, wire.Idle), wire.AppendReadyForQuery(nil, wire.Failed)

// endsBehind says whether the current request, or one behind it, ends a block.
func (l *simLoss) endsBehind() bool {
	text := string(bytes.Join(append([][]byte{l.now}, l.queue...), nil))
	return l.now[0] != 'Q' || strings.Contains(text, " COMMIT ") || strings.Contains(text, " ROLLBACK ")
}

// endsFor says whether a session may end with its server for that reason.
func (l *simLoss) endsFor(c *simClient, why string) bool {
	switch {
	case strings.Contains(why, "not known what it has set"):
		return c.eager || l.seen || l.sets || l.pins
	case strings.Contains(why, "a statement was prepared where a function had changed its meaning"): // an error may also have made it uncertain
		return l.pins || l.sets
	}
	return l.pins && strings.Contains(why, "cannot go on with another server: ")
}

// needless returns an error if a read failed that should have been repeated: it was alone on its way,
// outside a block, and nothing of its answer had arrived.
func (l *simLoss) needless(c *simClient, m wire.Message, code string) error {
	text := string(m.Body())
	read := strings.Contains(text, " ROWS ") || strings.Contains(text, " SHOW ") || strings.Contains(text, " MEAN ")
	if m.Kind == wire.Query && read && l.heard == 0 && !l.piped && l.before.status == wire.Idle && !l.before.skipping && len(l.before.written) == 0 && !l.open {
		return fmt.Errorf("client %d: the read %q got %s, want it repeated, because nothing of its answer had been sent", c.id, text, code)
	}
	return nil
}

// suffers sets the model back to the loss of its server while it handled the current request.
func (l *simLoss) suffers(model *postgres, m wire.Message, code string) {
	block, copied := l.before.status != wire.Idle, l.before.copying
	extended := l.before.extended
	commit := m.Kind == wire.Query && strings.Contains(string(m.Body()), " COMMIT ")
	open := slices.Concat(l.before.written, rowsOf(l.now))
	*model = l.before
	model.now, model.lasting, model.temp, model.was.temp = model.before, model.before, l.temp, l.temp
	model.written, model.hiding, model.defining, model.out, model.copying = nil, 0, nil, nil, false
	if code == "08007" {
		l.unsure(open, m)
	}
	if model.status = wire.Idle; code != "08007" && block && !commit {
		model.status = wire.Failed
	}
	switch {
	case m.Kind == wire.Query, m.Kind == wire.FunctionCall, m.Kind == wire.Sync, copied && !extended:
		model.skipping, model.broken = false, true
		model.ready()
	default:
		model.skipping, model.broken = true, true
	}
	if m.Kind == wire.Query {
		delete(model.stmts, "")
	}
}

// unsure records that it is not known whether rows are written: these rows, and those of the requests
// up to the next Sync.
func (l *simLoss) unsure(rows []string, m wire.Message) {
	if m.Kind != wire.Query && m.Kind != wire.FunctionCall && m.Kind != wire.Sync {
		for _, b := range l.queue {
			if rows = append(rows, rowsOf(b)...); b[0] == 'S' {
				break
			}
		}
	}
	for _, row := range slices.Concat(rows, l.handled) {
		l.unknown[row] = true
	}
}

// ended checks whether the client was told why its connection ended.
func (l *simLoss) ended(c *simClient, why error) error {
	torn := len(c.got) > 0 && first(c.got) == 0
	if c.sent >= 0 && !l.fatal && !torn && !c.struck {
		return fmt.Errorf("client %d was closed (%v) without being told a reason; unread bytes %q", c.id, why, clip(c.got))
	}
	return nil
}

// simLosses are reads and writes, in blocks and outside, alone and in pipelines.
var simLosses = []simRound{
	func(id, n int) []byte { return simple(id, "ROWS", n%8) },
	func(id, n int) []byte { return simple(id, "ROWS", n%8) },
	func(id, n int) []byte { return simple(id, "SHOW", 0) },
	func(id, n int) []byte { return write(id, n, 0) },
	func(id, n int) []byte { return write(id, n, 0) },
	func(id, n int) []byte { return wire.AppendSync(extendedWrite(id, n, 0)) },
	func(id, n int) []byte {
		return wire.AppendSync(append(extendedWrite(id, n, 0), extendedWrite(id, n, 1)...))
	},
	func(id, n int) []byte {
		return wire.AppendSync(append(extendedWrite(id, n, 0), extended(id, "ROWS", n%3)...))
	},
	func(id, n int) []byte {
		return wire.AppendSync(append(extendedWrite(id, n, 0), extended(id, "ERR", 0)...))
	},
	func(id, n int) []byte { return wire.AppendFlush(extendedWrite(id, n, 0)) },
	func(id, n int) []byte { return wire.AppendSync(nil) },
	func(id, n int) []byte { return simple(id, "BEGIN", 0) },
	func(id, n int) []byte { return simple(id, "BEGIN", 0) },
	func(id, n int) []byte { return simple(id, "COMMIT", 0) },
	func(id, n int) []byte { return simple(id, "COMMIT", 0) },
	func(id, n int) []byte { return simple(id, "ROLLBACK", 0) },
	func(id, n int) []byte { return wire.AppendSync(extended(id, "BEGIN", 0)) },
	func(id, n int) []byte { return wire.AppendSync(extended(id, "COMMIT", 0)) },
	func(id, n int) []byte { return wire.AppendSync(extended(id, "ROLLBACK", 0)) },
	func(id, n int) []byte {
		return slices.Concat(simple(id, "BEGIN", 0), write(id, n, 0), simple(id, "COMMIT", 0))
	},
	func(id, n int) []byte {
		return slices.Concat(write(id, n, 0), write(id, n, 1), simple(id, "ROWS", n%3))
	},
	func(id, n int) []byte {
		return slices.Concat(simple(id, "BEGIN", 0), write(id, n, 0), simple(id, "ROLLBACK", 0), write(id, n, 1))
	},
	func(id, n int) []byte {
		b := append(wire.AppendSync(extended(id, "BEGIN", 0)), wire.AppendSync(extendedWrite(id, n, 0))...)
		return append(b, wire.AppendSync(extended(id, "COMMIT", 0))...)
	},
	func(id, n int) []byte {
		return append(wire.AppendSync(extended(id, "ROWS", n%3)), wire.AppendSync(extended(id, "ROWS", n%5))...)
	},
	func(id, n int) []byte { return wire.AppendSync(extended(id, "ROWS", n%8)) },
	func(id, n int) []byte { return simple(id, "ERR", 0) },
	func(id, n int) []byte { return simple(id, "BIG", n%40*8) },
	func(id, n int) []byte { return simple(id, "NOTICE", 0) },
	func(id, n int) []byte { return simple(id, "COPYOUT", n%40) },
	func(id, n int) []byte { return wire.AppendCopyDone(append(simple(id, "COPYIN", 0), copyRows(n%40)...)) },
	func(id, n int) []byte { return wire.AppendCopyFail(simple(id, "COPYIN", 0), "no more") },
	func(id, n int) []byte {
		return wire.AppendSync(wire.AppendCopyDone(append(extended(id, "COPYIN", 0), copyRows(n%9)...)))
	},
	func(id, n int) []byte { return simple(id, "SET", n) },
	func(id, n int) []byte { return simple(id, "SET", n) },
	func(id, n int) []byte { return simple(id, "STYLE", n%3) },
	func(id, n int) []byte { return simple(id, "LOCAL", n%3) },
	func(id, n int) []byte { return slices.Concat(simple(id, "SET", n), simple(id, "SHOW", 0)) },
	func(id, n int) []byte { return wire.AppendSync(named(n%3, id, "ROWS", n%7)) },
	func(id, n int) []byte {
		return wire.AppendSync(wire.AppendParse(nil, name(n%3), sql(0, "MEAN", n%2), nil))
	},
	func(id, n int) []byte { return wire.AppendSync(executed(name(n % 3))) },
	func(id, n int) []byte { return wire.AppendSync(executed(name(n % 3))) },
	func(id, n int) []byte { return wire.AppendSync(wire.AppendClose(nil, 'S', name(n%3))) },
	func(id, n int) []byte { return wire.AppendSync(wire.AppendDescribe(nil, 'S', name(n%3))) },
	func(id, n int) []byte { // a long Bind, of which only the beginning is parsed
		b := wire.AppendBind(nil, &wire.BindView{Statement: []byte(name(n % 3)), Params: wire.MakeValues(make([]byte, 70_000))})
		return wire.AppendSync(wire.AppendExecute(b, "", 0))
	},
}

// simPins may pin a server, or leave something for which it has to be asked.
var simPins = []simRound{
	func(id, n int) []byte { return simple(id, "TEMP", n) },
	func(id, n int) []byte { return simple(id, "DROP", n) },
	func(id, n int) []byte { return simple(id, "FUNC", n) },
	func(id, n int) []byte { return wire.AppendFunctionCall(nil, &wire.FunctionCallView{Function: 1}) },
	func(id, n int) []byte { return wire.AppendQuery(nil, "DISCARD ALL") },
}

// write writes a row that no other request writes.
func write(id, n, k int) []byte { return simple(id, "WRITE", rowOf(id, n, k)) }

func extendedWrite(id, n, k int) []byte { return extended(id, "WRITE", rowOf(id, n, k)) }

func rowOf(id, n, k int) int {
	row, _ := strconv.Atoi(fmt.Sprintf("%d%05d%d", id, n, k))
	return row
}

// simBlocks are blocks of reads and writes, and little else.
var simBlocks = []simRound{
	func(id, n int) []byte { return simple(id, "BEGIN", 0) },
	func(id, n int) []byte { return simple(id, "BEGIN", 0) },
	func(id, n int) []byte { return simple(id, "ROWS", n%8) },
	func(id, n int) []byte { return simple(id, "ROWS", n%8) },
	func(id, n int) []byte { return wire.AppendSync(extended(id, "ROWS", n%8)) },
	func(id, n int) []byte { return write(id, n, 0) },
	func(id, n int) []byte { return simple(id, "COMMIT", 0) },
	func(id, n int) []byte { return simple(id, "ROLLBACK", 0) },
	func(id, n int) []byte { return simple(id, "LOCAL", n%3) },
	func(id, n int) []byte { return simple(id, "SHOW", 0) },
	func(id, n int) []byte { return simple(id, "SET", n%3) },
}
