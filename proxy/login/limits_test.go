package login

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"pgherd/proxy/auth"
	"pgherd/proxy/wire"
	"pgherd/proxy/wire/wiretest"
)

var (
	site1 = netip.MustParseAddr("10.0.0.1")
	site2 = netip.MustParseAddr("10.0.0.2")
)

func TestFailuresLeak(t *testing.T) {
	now := time.Unix(0, 0)
	f, r := newFailures(func() time.Time { return now }), FailureRule{Limit: 3, Window: time.Minute}
	for i, c := range []struct {
		do             string // failed USER, good USER, wait DURATION
		eve, ann, anna bool   // whether each is locked out afterwards, anna as any unknown user of the address
	}{
		{"failed eve", false, false, false},
		{"failed eve", false, false, false},
		{"failed eve", true, true, true},
		{"wait 19s", true, true, true},
		{"wait 2s", false, false, false},
		{"failed eve", true, true, true},
		{"wait 10m", false, false, false},
		{"good ann", false, false, false},
		{"failed eve", false, false, false},
		{"failed bob", false, false, false},
		{"failed tom", true, false, false}, // ann has logged in before, so the address is not locked out as a whole
		{"failed ann", true, false, false},
		{"failed ann", true, false, false},
		{"failed ann", true, true, false},
	} {
		word, rest, _ := strings.Cut(c.do, " ")
		switch word {
		case "failed":
			f.failed(site1, rest, r)
		case "good":
			f.succeeded(site1, rest, r)
		case "wait":
			d, _ := time.ParseDuration(rest)
			now = now.Add(d)
		}
		if eve, ann, all := f.barredUser(site1, "eve", r), f.barredUser(site1, "ann", r), f.lockedOut(site1, r); eve != c.eve || ann != c.ann || all != c.anna {
			t.Errorf("step %d, %s: locked out: eve %v, ann %v, unknown users %v", i, c.do, eve, ann, all)
		}
		if f.lockedOut(site2, r) || f.barredUser(site2, "eve", r) {
			t.Errorf("step %d: another address is locked out", i)
		}
	}
	off := FailureRule{Window: time.Minute}
	if f.failed(site1, "eve", off) || f.barredUser(site1, "eve", off) {
		t.Error("a user is locked out though there is no limit")
	}
}

func TestFailuresAreBounded(t *testing.T) {
	f, r := newFailures(time.Now), FailureRule{Limit: 3, Window: time.Minute}
	for i := range maxOrigins + 1000 {
		f.failed(site1, fmt.Sprint(i), r)
	}
	if len(f.counts) > maxOrigins {
		t.Errorf("%d counts are kept", len(f.counts))
	}
	a, b := netip.MustParseAddr("2001:db8::1"), netip.MustParseAddr("2001:db8::ffff:1")
	if siteOf(a) != siteOf(b) || siteOf(site1) == siteOf(site2) || siteOf(a) == siteOf(netip.MustParseAddr("2001:db8:0:1::1")) {
		t.Error("addresses of one network are counted apart, or those of two networks together")
	}
}

// TestCrowd checks that there are never more log-ins than the limit, that none is forgotten, and
// that none is left in the end.
func TestCrowd(t *testing.T) {
	c := limiter{sites: map[netip.Addr]*site{}}
	var mu sync.Mutex
	inside, most, gaveUp := 0, 0, 0
	var all sync.WaitGroup
	for i := range 300 {
		all.Go(func() {
			turn, ok := c.enter(site1, 7)
			if !ok {
				t.Error("there is no place to wait")
				return
			}
			if turn != nil && i%3 == 0 {
				c.giveUp(site1, turn)
				mu.Lock()
				gaveUp++
				mu.Unlock()
				return
			}
			if turn != nil {
				<-turn
			}
			mu.Lock()
			inside++
			most = max(most, inside)
			mu.Unlock()
			time.Sleep(100 * time.Microsecond)
			mu.Lock()
			inside--
			mu.Unlock()
			c.leave(site1)
		})
	}
	all.Wait()
	if most > 7 || len(c.sites) != 0 || c.waiting != 0 {
		t.Errorf("%d log-ins ran at most; %d sites and %d waiting are left; %d gave up", most, len(c.sites), c.waiting, gaveUp)
	}
}

// from connects to g from this loopback address.
func (g *testGate) from(t testing.TB, ip string) net.Conn {
	t.Helper()
	d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(ip)}}
	conn, err := d.Dial("tcp", g.addr)
	if err != nil {
		t.Fatal(err)
	}
	conn.SetDeadline(time.Now().Add(wiretest.Patience))
	return conn
}

func (g *testGate) logInFrom(t testing.TB, ip string, secret auth.Secret, user string) string {
	t.Helper()
	conn := g.from(t, ip)
	defer conn.Close()
	_, err := auth.LogIn(conn, []wire.Param{{Name: "user", Value: user}, {Name: "database", Value: "app"}}, auth.Access{Secret: secret})
	if err == nil {
		return ""
	}
	fault, told := errors.AsType[*wire.Fault](err)
	if !told {
		t.Fatalf("from %s as user %s: got error %v", ip, user, err)
	}
	return fault.Code + " " + fault.Message
}

// TestGuessesAreBarred checks that wrong passwords are refused before they cost anything, and that other clients are
// not affected.
func TestGuessesAreBarred(t *testing.T) {
	g := startGate(t, func(s *Settings) {
		s.Policy.HBA, _ = auth.ParseHBA("host app all 127.0.0.0/8 scram-sha-256", nil)
		s.Failures = FailureRule{Limit: 3, Window: time.Hour}
	})
	right, wrong := auth.PlainSecret("alice", "pencil-alice"), auth.PlainSecret("alice", "wrong")
	const failed, lockedOut = `28P01 password authentication failed for user`, "53400 too many failed logins from your address"
	for i, c := range []struct {
		ip, user string
		secret   auth.Secret
		want     string
	}{
		{"127.0.0.2", "alice", wrong, failed},
		{"127.0.0.2", "mallory", wrong, failed},
		{"127.0.0.2", "bob", wrong, failed},
		{"127.0.0.2", "alice", right, lockedOut},
		{"127.0.0.1", "alice", right, ""},
		{"127.0.0.3", "alice", right, ""},
		{"127.0.0.3", "mallory", wrong, failed},
		{"127.0.0.3", "mallory", wrong, failed},
		{"127.0.0.3", "mallory", wrong, failed},
		{"127.0.0.3", "mallory", wrong, lockedOut},
		{"127.0.0.3", "bob", wrong, lockedOut},
		{"127.0.0.3", "alice", right, ""}, // this user has logged in from there before
		{"127.0.0.3", "alice", wrong, failed},
	} {
		if got := g.logInFrom(t, c.ip, c.secret, c.user); !strings.HasPrefix(got, c.want) || c.want == "" && got != "" {
			t.Errorf("step %d: got %q, want %q", i, got, c.want)
		}
	}
	g.closeAll()
	if n := strings.Count(g.logged(), "too many failed logins; further ones from there"); n != 2 {
		t.Errorf("%d warnings about addresses", n)
	}
}

// TestSlowOnesLeaveRoom checks that an address whose log-ins are slow delays only its own.
func TestSlowOnesLeaveRoom(t *testing.T) {
	g := startGate(t, func(s *Settings) {
		s.Policy.HBA, _ = auth.ParseHBA("host app all 127.0.0.0/8 scram-sha-256", nil)
		s.MaxLogins = 2
	})
	alice := auth.PlainSecret("alice", "pencil-alice")
	slow := []net.Conn{g.from(t, "127.0.0.2"), g.from(t, "127.0.0.2")}
	waitFor(t, func() bool { return strings.Count(g.logged(), "client connected") == 2 })
	waiting := make(chan string, 1)
	go func() { waiting <- g.logInFrom(t, "127.0.0.2", alice, "alice") }()
	waitFor(t, func() bool { return strings.Count(g.logged(), "client connected") == 3 })
	if got := g.logInFrom(t, "127.0.0.1", alice, "alice"); got != "" {
		t.Errorf("another address: got %s", got)
	}
	select {
	case got := <-waiting:
		t.Errorf("a third log-in from the slow address did not wait: got %q", got)
	default:
	}
	slow[0].Close()
	if got := <-waiting; got != "" {
		t.Errorf("when there is a place: got %s", got)
	}
	slow[1].Close()
}

func waitFor(t *testing.T, done func() bool) {
	t.Helper()
	for until := time.Now().Add(wiretest.Patience); !done(); time.Sleep(time.Millisecond) {
		if time.Now().After(until) {
			t.Fatal("the condition did not come true in time")
		}
	}
}

// guessesPerSecond is the rate of wrong passwords from another address in the benchmark.
const guessesPerSecond = 1000

// BenchmarkRightLogin measures the latency of a right log-in, alone and while wrong ones come in. Its figure is
// ms/median. With the method password a wrong log-in costs a PBKDF2.
func BenchmarkRightLogin(b *testing.B) {
	for _, method := range []string{"scram-sha-256", "password"} {
		for _, c := range []struct {
			name    string
			guesses bool
			limit   int
		}{{"idle", false, 100}, {"guesses", true, 100}, {"guesses unlimited", true, 0}} {
			b.Run(method+"/"+c.name, func(b *testing.B) {
				g := startGate(b, func(s *Settings) {
					s.Policy.HBA, _ = auth.ParseHBA("host app all 127.0.0.0/8 "+method, nil)
					s.Failures, s.LogConnections = FailureRule{Limit: c.limit, Window: time.Minute}, false
				})
				ctx, stop := context.WithCancel(b.Context())
				var guessing sync.WaitGroup
				if c.guesses {
					guessing.Go(func() { g.guess(ctx, b) })
				}
				benchmarkLogin(b, g)
				stop()
				guessing.Wait()
			})
		}
	}
}

func benchmarkLogin(b *testing.B, g *testGate) {
	vera := auth.PlainSecret("vera", "pencil")
	var took []time.Duration
	for b.Loop() {
		begun := time.Now()
		if got := g.logInFrom(b, "127.0.0.1", vera, "vera"); got != "" {
			b.Fatal(got)
		}
		took = append(took, time.Since(begun))
		time.Sleep(2 * time.Millisecond)
	}
	slices.Sort(took)
	b.ReportMetric(float64(took[len(took)/2].Microseconds())/1000, "ms/median")
}

// guess tries a wrong password, so many times a second.
func (g *testGate) guess(ctx context.Context, b *testing.B) {
	tick := time.NewTicker(time.Second / guessesPerSecond)
	defer tick.Stop()
	wrong := auth.PlainSecret("vera", "wrong")
	var all sync.WaitGroup
	for ctx.Err() == nil {
		<-tick.C
		all.Go(func() { g.logInFrom(b, "127.0.0.2", wrong, "vera") })
	}
	all.Wait()
}
