package auth

import (
	"context"
	"errors"
	"net/netip"
	"strings"
	"testing"
	"time"
)

// testRolesOf are the roles of which users are members. Each is a member of itself, too.
var testRolesOf = map[string][]string{"ann": {"ann", "dba", "staff"}, "bob": {"bob", "staff"}, "shop": {"shop"}, "all": {"all"}}

func membersOf(err error, asked *int) *Members {
	return NewMembers(func(_ context.Context, user string) ([]string, error) {
		*asked++
		return testRolesOf[user], err
	}, time.Now)
}

// TestMembers checks which users +role, samerole and samegroup match, and that no question is sent if the answer would make
// no difference.
func TestMembers(t *testing.T) {
	for _, c := range []struct {
		lines, user, database string
		want, asked           int // the line that matches, and the number of questions
	}{
		{"local all +dba trust", "ann", "d", 1, 1},
		{"local all +dba trust", "bob", "d", 0, 1},
		{"local all +dba,+staff trust", "bob", "d", 1, 1},
		{"local all +bob trust", "bob", "d", 1, 1}, // a role is a member of itself
		{"local all +nobody trust", "nobody", "d", 0, 1},
		{`local all "+dba" trust`, "ann", "d", 0, 0}, // quoted, it is a user's name
		{`local all "+dba" trust`, "+dba", "d", 1, 0},
		{`local all +"dba" trust`, "ann", "d", 1, 1},
		{"local all +dba,ann trust", "ann", "d", 1, 0},
		{"local samerole all trust", "ann", "staff", 1, 1},
		{"local samegroup all trust", "ann", "dba", 1, 1},
		{"local samerole all trust", "ann", "shop", 0, 1},
		{"local samerole all trust", "shop", "shop", 1, 1},
		{"local samerole all trust", "nobody", "nobody", 0, 1}, // this role does not exist, so it is no member of itself
		{`local "samerole" all trust`, "ann", "staff", 0, 0},
		{"local samerole,sameuser all trust", "nobody", "nobody", 1, 0},
		{"local samerole +staff trust", "bob", "staff", 1, 1},
		{"local samerole +staff trust", "bob", "shop", 0, 1},
		{"local samerole +dba trust", "bob", "staff", 0, 1},
		{"local other +dba trust\nlocal all +staff trust\nlocal all +dba trust", "ann", "d", 2, 1}, // one question for all lines
		{"local all +dba reject\nlocal all all trust", "ann", "d", 1, 1},
		{"local all +dba reject\nlocal all all trust", "bob", "d", 2, 1},
		{"host all +dba all reject\nlocal all all trust", "ann", "d", 2, 0},
	} {
		hba, err := ParseHBA(c.lines, nil)
		if err != nil {
			t.Fatalf("%q: %v", c.lines, err)
		}
		asked, line := 0, 0
		r, err := hba.match(&search{ctx: t.Context(), policy: &Policy{Members: membersOf(nil, &asked)}, peer: &Peer{Local: true, User: c.user, Database: c.database}})
		if r != nil {
			line = r.Line
		}
		if line != c.want || asked != c.asked || err != nil {
			t.Errorf("%q for user %s in database %s: got line %d, error %v, asked %d times", c.lines, c.user, c.database, line, err, asked)
		}
	}
}

// TestMembersUnknown checks that a client that the file refuses is never let in because a question has no answer.
func TestMembersUnknown(t *testing.T) {
	const in, out, refused = "", "28000", "57P03"
	for _, c := range []struct{ lines, nobody, away string }{ // without a primary to ask; when the primary does not answer
		{"local all +dba trust", out, refused},
		{"local all +dba reject\nlocal all all trust", refused, refused},
		{"local samerole all reject\nlocal all all trust", refused, refused},
		{"local all +dba,u reject\nlocal all all trust", out, out}, // user u is named
		{"local all +dba scram-sha-256\nlocal all all trust", refused, refused},
		{"local all +dba scram-sha-256\nlocal all all reject", out, refused},
		{"local all +dba trust\nlocal all all trust", in, refused},
		{"local other +dba reject\nlocal all all trust", in, in},
		{"local all all trust\nlocal all +dba reject", in, in},
		{"host all +dba .example.com reject\nlocal all all trust", in, in},
	} {
		hba, err := ParseHBA(c.lines, nil)
		if err != nil {
			t.Fatalf("%q: %v", c.lines, err)
		}
		asked := 0
		for want, policy := range map[string]*Policy{
			"nobody " + c.nobody: {HBA: hba},
			"away " + c.away:     {HBA: hba, Members: membersOf(errors.New("the primary is away"), &asked)},
		} {
			_, err := policy.Check(t.Context(), nil, Peer{Local: true, User: "u", Database: "d"})
			if who, code, _ := strings.Cut(want, " "); codeOf(err) != code || code == refused && !strings.Contains(err.Error(), "pool_hba.conf:1: ") {
				t.Errorf("%q, %s: got error %v, want code %q", c.lines, who, err, code)
			}
		}
	}
}

// TestMembersByHost checks that no question is sent about a client whose host the line does not match.
func TestMembersByHost(t *testing.T) {
	hba, _ := ParseHBA("host all +dba .example.com reject\nhost all all all trust", nil)
	for from, want := range map[string]string{"10.0.0.1": "57P03", "10.0.0.7": ""} {
		policy := &Policy{HBA: hba, Resolver: testHosts}
		_, err := policy.Check(t.Context(), nil, Peer{Addr: netip.MustParseAddr(from), User: "u", Database: "d"})
		if codeOf(err) != want {
			t.Errorf("client at %s: got error %v, want code %q", from, err, want)
		}
	}
}

// TestMembersAreAskedAgain checks that an answer is used for a second, and a failure not at all.
func TestMembersAreAskedAgain(t *testing.T) {
	asked, now := 0, time.Unix(1000, 0)
	var many []string
	members := NewMembers(func(context.Context, string) ([]string, error) { asked++; return many, nil }, func() time.Time { return now })
	for _, c := range []struct {
		after time.Duration
		asked int
	}{{0, 1}, {0, 1}, {999 * time.Millisecond, 1}, {time.Millisecond, 2}} {
		now = now.Add(c.after)
		if _, err := members.Find(t.Context(), "ann"); err != nil || asked != c.asked {
			t.Errorf("after %v: asked %d times, error %v", c.after, asked, err)
		}
	}
	many = make([]string, maxRoles+1)
	if _, err := members.Find(t.Context(), "bob"); err == nil {
		t.Error("the number of remembered users has no limit")
	}
}

func TestMembersAreWarnedOf(t *testing.T) {
	hba, _ := ParseHBA("local all +dba md5\nlocal samerole all reject\nlocal all \"+dba\" md5\nhostgssenc all all all trust", nil)
	ident, _ := parseIdent("m x +dba")
	asked := 0
	for _, c := range []struct {
		policy Policy
		want   []string
	}{
		{Policy{HBA: hba, Ident: ident}, []string{"pool_hba.conf:1: the line cannot match", "pool_hba.conf:2: log-ins that this line may be for are refused",
			"pool_hba.conf:4: hostgssenc record cannot match", "ident:1: the line cannot match"}},
		{Policy{HBA: hba, Ident: ident, Members: membersOf(nil, &asked)}, []string{"pool_hba.conf:4: "}},
	} {
		got := c.policy.Warnings(c.policy.Members != nil)
		if len(got) != len(c.want) {
			t.Errorf("got warnings %q", got)
			continue
		}
		for i, want := range c.want {
			if !strings.HasPrefix(got[i], want) {
				t.Errorf("got warning %q, want %q", got[i], want)
			}
		}
	}
}

// TestMembersOfMaps checks that the third field of a user name map is read like a role of
// pool_hba.conf.
func TestMembersOfMaps(t *testing.T) {
	for _, c := range []struct {
		line, system, user string
		want               bool
	}{
		{"m root all", "root", "anybody", true}, {`m root "all"`, "root", "anybody", false}, {`m root "all"`, "root", "all", true},
		{"m root +dba", "root", "ann", true}, {"m root +dba", "root", "bob", false}, {"m root +dba", "toor", "ann", false},
		{`m root "+dba"`, "root", "+dba", true}, {`m root "+dba"`, "root", "ann", false},
		{"m root /^a", "root", "ann", true}, {"m root /^a", "root", "bob", false}, {`m root "/^a"`, "root", "ann", true},
		{`m /^(.*)@x$ \1`, "ann@x", "ann", true}, {`m /^(.*)@x$ \1`, "all@x", "bob", false}, // \1 is never a keyword
		{`m /^(.*)@x$ +\1`, "dba@x", "ann", false}, {`m /^(.*)@x$ +dba`, "who@x", "ann", true},
		{`m /^(.*)@x$ u_\1_\1`, "ann@x", `u_ann_\1`, true}, // only the first \1 is replaced
		{"m root ann more fields", "root", "ann", true},
	} {
		ident, err := parseIdent(c.line)
		if err != nil {
			t.Errorf("%q: got error %v", c.line, err)
			continue
		}
		asked := 0
		s := &search{ctx: t.Context(), policy: &Policy{Members: membersOf(nil, &asked)}, peer: &Peer{User: c.user}}
		if got, err := ident.allows("m", c.system, c.user, s.roles); got != c.want || err != nil {
			t.Errorf("%q: system user %s as %s: allowed: %v, error %v", c.line, c.system, c.user, got, err)
		}
	}
	ident, _ := parseIdent("m root +dba\nm root ann")
	s := &search{ctx: t.Context(), policy: &Policy{}, peer: &Peer{User: "ann"}}
	if got, err := ident.allows("m", "root", "ann", s.roles); !got || err != nil {
		t.Errorf("without a primary to ask: allowed: %v, error %v", got, err)
	}
}

// TestConfirm checks that a log-in is confirmed only if the same line still lets the client in, by an answer that is new.
func TestConfirm(t *testing.T) {
	hba, err := ParseHBA("local all +staff trust\nlocal all ann trust", nil)
	if err != nil {
		t.Fatal(err)
	}
	roles := []string{"staff"}
	p := &Policy{HBA: hba, Members: NewMembers(func(context.Context, string) ([]string, error) { return roles, nil }, time.Now)}
	for _, user := range []string{"ann", "bob"} {
		roles = []string{"staff"}
		peer := Peer{Local: true, User: user, Database: "app"}
		granted, err := p.Check(t.Context(), nil, peer)
		if err != nil || !granted.Told || granted.Line != 1 {
			t.Fatalf("%s: granted %+v, error %v", user, granted, err)
		}
		if err := p.Confirm(t.Context(), peer, &granted); err != nil {
			t.Errorf("%s: nothing has changed, but got error %v", user, err)
		}
		roles = nil
		refusal, refused := errors.AsType[*Refusal](p.Confirm(t.Context(), peer, &granted))
		if !refused || refusal.Fault.Code != "28000" {
			t.Errorf("%s is no member any more, but got %v", user, refusal)
		}
	}
	if err := (&Policy{}).Confirm(t.Context(), Peer{}, &Grant{}); err != nil {
		t.Errorf("without rules: got error %v", err)
	}
	if granted, err := (&Policy{}).Check(t.Context(), nil, Peer{Local: true, User: "ann"}); err != nil || granted.Told {
		t.Errorf("nobody was asked: granted %+v, error %v", granted, err)
	}
}
