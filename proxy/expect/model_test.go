package expect

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"pgherd/proxy/wire"
)

// This file tests the list of expected replies against a model of PostgreSQL. The model was
// written from the specification ("Message Flow") and knows nothing of the list. It reads
// requests one by one, and says which replies PostgreSQL sends.

// ask is a request, and what its statement does.
type ask struct {
	kind  wire.Kind
	fate  fate
	whose Disposition
	id    int // of an answer of pgherd's own, whose disposition is then Local
}

type fate uint8

const (
	works fate = iota
	fails
	copiesIn
	copiesOut
	suspends
	fates
)

// word is a reply, or an answer of pgherd's own, with its disposition.
type word struct {
	kind  wire.Kind
	id    int
	whose Disposition
	began int // for an error, how many requests the server had read when its last copy began
}

// model is a model of one server of PostgreSQL.
type model struct {
	skip     bool        // it skips to the next Sync
	copying  wire.Kind   // the Query or Execute that takes copy data; Unknown if none does
	origin   Disposition // the disposition of that request
	over     bool        // it has ended the connection
	open     bool        // the next Sync ends a transaction
	read     int         // how many requests it has read
	began    int         // the value of read when the last copy began
	sync     bool        // a Sync was ignored in the copy under way
	hopeless bool        // such a copy has failed, and what follows depends on how fast the bytes came
	out      []word
}

func (p *model) say(w Disposition, kinds ...wire.Kind) {
	for _, k := range kinds {
		p.out = append(p.out, word{kind: k, whose: w, began: p.began})
	}
}

func (p *model) feed(a ask) {
	p.read++
	p.opens(a)
	switch {
	case p.over:
	case p.copying != wire.Unknown:
		p.feedCopy(a)
	case a.kind == wire.Sync:
		p.skip = false
		if a.fate == fails {
			p.say(a.whose, wire.ErrorResponse)
		}
		p.say(a.whose, wire.ReadyForQuery)
	case p.skip:
	case a.whose == Local:
		p.out = append(p.out, word{id: a.id, whose: Local})
	case a.kind == wire.Query || a.kind == wire.FunctionCall:
		p.round(a)
	default:
		p.step(a)
	}
}

// opens notes whether there is something that a Sync ends, which are requests of the extended
// protocol.
func (p *model) opens(a ask) {
	switch {
	case p.copying != wire.Unknown || p.skip && a.kind != wire.Sync:
	case a.kind == wire.Sync, a.kind == wire.Query, a.kind == wire.FunctionCall:
		p.open = false
	case a.kind == wire.Parse, a.kind == wire.Bind, a.kind == wire.Describe, a.kind == wire.Execute, a.kind == wire.Close:
		p.open = true
	}
}

// round answers a request that ends with a ReadyForQuery.
func (p *model) round(a ask) {
	switch {
	case a.fate == fails:
		p.say(a.whose, wire.ErrorResponse)
	case a.kind == wire.FunctionCall:
		p.say(a.whose, wire.FunctionCallResponse)
	case a.fate == copiesIn:
		p.begin(a)
		return
	case a.fate == copiesOut:
		p.say(a.whose, wire.CopyOutResponse, wire.CopyRow, wire.CopyEnd, wire.CommandComplete)
	default:
		p.say(a.whose, wire.RowDescription, wire.DataRow, wire.CommandComplete)
	}
	p.say(a.whose, wire.ReadyForQuery)
}

// step answers a request of the extended protocol.
func (p *model) step(a ask) {
	replies := map[wire.Kind][]wire.Kind{
		wire.Parse: {wire.ParseComplete}, wire.Bind: {wire.BindComplete}, wire.Close: {wire.CloseComplete},
		wire.Describe: {wire.ParameterDescription, wire.RowDescription}, wire.Execute: {wire.DataRow, wire.CommandComplete},
	}[a.kind]
	switch {
	case replies == nil: // a Flush, or CopyData, CopyDone and CopyFail outside of a copy
	case a.fate == fails:
		p.say(a.whose, wire.ErrorResponse)
		p.skip = true
	case a.kind == wire.Execute && a.fate == copiesIn:
		p.begin(a)
	case a.kind == wire.Execute && a.fate == copiesOut:
		p.say(a.whose, wire.CopyOutResponse, wire.CopyRow, wire.CopyEnd, wire.CommandComplete)
	case a.kind == wire.Execute && a.fate == suspends:
		p.say(a.whose, wire.DataRow, wire.PortalSuspended)
	case a.kind == wire.Describe && a.fate == suspends: // the portal returns no rows
		p.say(a.whose, wire.NoData)
	default:
		p.say(a.whose, replies...)
	}
}

func (p *model) begin(a ask) {
	p.copying, p.origin, p.sync, p.began = a.kind, a.whose, false, p.read
	p.say(a.whose, wire.CopyInResponse)
}

func (p *model) feedCopy(a ask) {
	switch {
	case a.kind == wire.Flush:
	case a.kind == wire.Sync:
		p.sync = true
	case a.kind == wire.CopyData && a.fate != fails:
	case a.kind == wire.CopyDone && a.fate != fails:
		p.say(p.origin, wire.CommandComplete)
		p.endCopy(false)
	case a.kind == wire.CopyData || a.kind == wire.CopyFail || a.kind == wire.CopyDone:
		p.say(p.origin, wire.ErrorResponse)
		p.endCopy(true)
	default: // an unexpected message: ERROR, then FATAL
		p.say(p.origin, wire.ErrorResponse, wire.ErrorResponse)
		p.over = true
	}
}

func (p *model) endCopy(failed bool) {
	if p.copying == wire.Query {
		p.say(p.origin, wire.ReadyForQuery)
	} else {
		p.skip = failed
	}
	p.copying, p.hopeless = wire.Unknown, p.hopeless || failed && p.sync
}

// owes says that the server will send more, or is in the middle of something.
func (p *model) owes(unread []ask) bool {
	c := *p
	c.out = slices.Clone(p.out)
	for _, a := range unread {
		c.feed(a)
	}
	return len(c.out) > 0 || c.skip || c.copying != wire.Unknown || c.over
}

// talk has a client, a list of expected replies and a server, and the bytes that are on their way
// in both directions.
type talk struct {
	random *rand.Rand
	e      List
	server model // reads what has reached it
	unread []ask
	sent   []wire.Kind
	mirror model  // reads everything at once, and so says what the client has to get
	got    []word // what the client has got
	asked  int
	inCopy bool // the client sends copy data, and no end of it yet
	story  string
}

var kindsAsked = []wire.Kind{wire.Parse, wire.Bind, wire.Describe, wire.Execute, wire.Execute, wire.Close, wire.Sync, wire.Sync,
	wire.Flush, wire.Query, wire.Query, wire.FunctionCall, wire.CopyData, wire.CopyDone, wire.CopyFail}

// invent makes a random next request of the client's.
func (k *talk) invent() ask {
	k.asked++
	a := ask{kind: kindsAsked[k.random.IntN(len(kindsAsked))], fate: fate(k.random.IntN(int(fates))), id: k.asked}
	inCopy := k.inCopy
	if k.mirror.copying != wire.Unknown && k.random.IntN(20) == 0 {
		inCopy = false // it ends the copy in a way after which PostgreSQL ends the connection
	}
	if inCopy {
		a.kind = []wire.Kind{wire.CopyData, wire.CopyData, wire.CopyDone, wire.CopyFail, wire.Sync, wire.Flush}[k.random.IntN(6)]
	} else if k.mirror.skip && k.random.IntN(3) > 0 {
		a.kind = wire.Sync
	}
	if a.fate == fails && k.random.IntN(2) == 0 {
		a.fate = works
	}
	switch {
	case !k.inCopy && k.random.IntN(6) == 0:
		a.kind, a.whose = wire.Unknown, Local
	case a.kind == wire.Query && k.random.IntN(6) == 0:
		a.whose, a.fate = Swallow, works
	}
	return a
}

func (k *talk) send(a ask) {
	k.story += fmt.Sprintf(" > %v %v/%v", a.kind, a.fate, a.whose)
	k.mirror.feed(a)
	if a.whose == Local {
		if k.e.Answer(Answer{Bytes: []byte{byte(a.id)}}, false) {
			k.got = append(k.got, word{id: int(byte(a.id)), whose: Local})
		}
		return
	}
	switch {
	case a.fate == copiesIn && (a.kind == wire.Query || a.kind == wire.Execute):
		k.inCopy = true
	case a.kind == wire.CopyDone || a.kind == wire.CopyFail:
		k.inCopy = false
	}
	k.e.Add(a.kind, a.whose, nil)
	k.unread, k.sent = append(k.unread, a), append(k.sent, a.kind)
}

// read lets the server read one request.
func (k *talk) read() {
	if len(k.unread) > 0 {
		k.story += fmt.Sprintf(" . %v", k.unread[0].kind)
		k.server.feed(k.unread[0])
		k.unread = k.unread[1:]
	}
}

// deliver passes one reply to the list.
func (k *talk) deliver() error {
	if len(k.server.out) == 0 {
		return nil
	}
	w := k.server.out[0]
	k.server.out = k.server.out[1:]
	k.story += fmt.Sprintf(" < %v", w.kind)
	got, err := k.e.Admit(w.kind)
	if err != nil {
		return err
	}
	if got != w.whose {
		return fmt.Errorf("%v has the disposition %d, the list says %d", w.kind, w.whose, got)
	}
	k.e.Settle(w.kind)
	k.inCopy = k.inCopy && (len(k.unread)+len(k.server.out) > 0 || k.server.copying != wire.Unknown)
	if k.e.Uncertain && !slices.Contains(k.sent[w.began:], wire.Sync) {
		return fmt.Errorf("the list is uncertain, but no Sync was sent in the copy")
	}
	k.got = append(k.got, w)
	for a, ok := k.e.NextLocal(); ok; a, ok = k.e.NextLocal() {
		k.got = append(k.got, word{id: int(a.Bytes[0]), whose: Local})
	}
	return nil
}

// check compares the list with what is known of the server.
func (k *talk) check() error {
	owes := k.server.owes(k.unread)
	if k.e.Empty() && owes {
		return fmt.Errorf("the list is empty, but the server owes replies (I2)")
	}
	idle := len(k.unread) == 0 && len(k.server.out) == 0
	if idle && !owes && !k.e.Empty() {
		return fmt.Errorf("the server owes nothing, but the list has %d replies, skipping=%v, copying=%v", k.e.list.Len(), k.e.Skipping, k.e.copying)
	}
	if idle && k.e.Empty() && k.server.open && !k.e.InExtended() {
		return fmt.Errorf("the list is empty and its sequence finished, but the server's transaction is open (I2)")
	}
	if idle && owes && k.e.RepliesPending() {
		return fmt.Errorf("the list expects replies without another request, but the server waits for one")
	}
	return nil
}

// heard compares what the client has got with what it has to get.
func (k *talk) heard() error {
	for i, w := range k.mirror.out {
		if i < len(k.got) && (k.got[i].kind != w.kind || k.got[i].whose != w.whose || w.whose == Local && k.got[i].id != int(byte(w.id))) {
			return fmt.Errorf("reply %d is %v, want %v", i, k.got[i], w)
		}
	}
	if len(k.got) > len(k.mirror.out) {
		return fmt.Errorf("the client got %d replies too many", len(k.got)-len(k.mirror.out))
	}
	return nil
}

// run makes a conversation and lets everything arrive in the end. It stops early where the future
// cannot be known, and there the list must have said so.
func (k *talk) run(rounds int) error {
	for i := 0; i < rounds || len(k.unread)+len(k.server.out) > 0; i++ {
		switch n := k.random.IntN(3); {
		case n == 0 && i < rounds:
			k.send(k.invent())
		case n == 1:
			k.read()
		default:
			if err := k.deliver(); err != nil && !k.server.hopeless && !k.server.over {
				return err
			}
		}
		if k.e.Uncertain || k.server.hopeless || k.server.over {
			return k.despair()
		}
		if err := k.check(); err != nil {
			return err
		}
		if err := k.heard(); err != nil {
			return err
		}
	}
	if len(k.got) != len(k.mirror.out) {
		return fmt.Errorf("the client got %d replies of %d", len(k.got), len(k.mirror.out))
	}
	return nil
}

// despair handles a copy that has failed after an ignored Sync, and a connection that PostgreSQL has
// ended. Once that error has arrived the server must not look reusable.
func (k *talk) despair() error {
	for len(k.server.out) > 0 {
		if k.deliver() != nil {
			return nil // the session ends, and its server, too
		}
	}
	if k.server.hopeless && !k.e.Uncertain {
		return fmt.Errorf("a copy failed after an ignored Sync, but the list is certain")
	}
	return nil
}

func playTalk(seed uint64, rounds int) (story string, err error) {
	k := &talk{random: rand.New(rand.NewPCG(seed, 1))}
	err = k.run(rounds)
	return k.story, err
}

// TestExpectAgainstModel checks I1 and I2 in random conversations.
func TestExpectAgainstModel(t *testing.T) {
	for seed := range uint64(12_000) {
		if story, err := playTalk(seed, 1+int(seed%40)); err != nil {
			t.Fatalf("seed %d: %v\n%s", seed, err, story)
		}
	}
}

// FuzzExpect checks that any requests and replies, in any order, leave the list consistent.
func FuzzExpect(f *testing.F) {
	f.Add([]byte("QTDCZ"))
	f.Add([]byte("\xd0\xc2\xc5\xd32G"))
	f.Fuzz(func(t *testing.T, steps []byte) {
		var e List
		locals := 0
		for _, b := range steps {
			switch tag := b & 0x7f; {
			case b == 0xff:
				if e.Answer(Answer{Bytes: []byte{1, 2}}, false) && e.list.Len() > 0 {
					t.Fatal("an answer of pgherd's comes before replies that are owed")
				}
			case b >= 0x80:
				e.Add(wire.RequestKind(tag), Forward, nil)
			default:
				if _, err := e.Admit(wire.ReplyKind(tag)); err != nil {
					return
				}
				e.Settle(wire.ReplyKind(tag))
				for _, ok := e.NextLocal(); ok; _, ok = e.NextLocal() {
					locals++
				}
			}
			locals = 0
			for i := range e.list.Len() {
				if e.list.At(i).whose == Local {
					locals++
				}
			}
			held := 0
			for i := range e.locals.Len() {
				held += len(e.locals.At(i).Bytes)
			}
			if held != e.Held() {
				t.Fatalf("%d bytes of pgherd's own answers wait, but %d are counted", held, e.Held())
			}
			if locals != e.locals.Len() {
				t.Fatalf("the list has %d answers of pgherd's own, but %d places for them", e.locals.Len(), locals)
			}
			if e.copying && e.list.Len() == 0 || e.Skipping && e.list.Len() > 0 {
				t.Fatalf("%d replies are owed, copying=%v, skipping=%v, want none", e.list.Len(), e.copying, e.Skipping)
			}
		}
	})
}
