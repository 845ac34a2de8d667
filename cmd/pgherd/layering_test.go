package main_test

import (
	"fmt"
	"go/ast"
	"slices"
	"strings"
	"testing"
)

// layer says which packages of this module a package may import. The order is transitive: what those may import, it may
// import, too.
type layer struct {
	may []string
	why string
}

// layers is the order of the whole module. A package that is not here may not exist.
var layers = map[string]layer{
	"proxy/config":    {nil, "configuration is plain values; who uses them declares Settings of its own"},
	"proxy/wire":      {nil, "messages are bytes; they know nobody who sends them"},
	"proxy/query/lex": {nil, "tokens are a pure function of a text"},
	"proxy/query":     {[]string{"proxy/query/lex"}, "classifying SQL is a pure function of its text"},
	"proxy/nodes":     {nil, "a View is an immutable value that everybody reads"},
	"proxy/metrics":   {nil, "counters know nothing of what they count"},
	"proxy/fifo":      {nil, "a queue knows nothing of what it holds"},

	"proxy/ring/iouring": {nil, "what is shared with the kernel is audited alone; sockets and loops are above it"},
	"proxy/ring":         {[]string{"proxy/fifo", "proxy/ring/iouring"}, "the ring knows nothing of PostgreSQL, so it is tested alone"},
	"proxy/catalog":      {[]string{"proxy/query", "proxy/route"}, "judging what a database holds is a pure function of its catalogs; who asks is not its business"},
	"proxy/certs":        {[]string{"proxy/config"}, "files become a tls.Config, and errors name parameters; who connects is not its business"},
	"proxy/auth":         {[]string{"proxy/wire"}, "authentication is messages and cryptography, nothing else"},
	"proxy/route":        {[]string{"proxy/nodes", "proxy/query"}, "routing is a pure function of class, state and View"},
	"proxy/expect":       {[]string{"proxy/fifo", "proxy/wire"}, "what is owed is a pure function of what was sent and what has come"},
	"proxy/pool":         {[]string{"proxy/wire", "proxy/nodes"}, "a pool holds servers; it does not know who asks or why"},
	"proxy/cache":        {[]string{"proxy/wire"}, "the cache stores answers; who asks decides what may be stored"},
	"proxy/failover":     {nil, "a decision is a pure function of the herd, what members see, and time: plain values of its own, which a file and a log keep"},
	"proxy/effect":       {[]string{"proxy/query", "proxy/catalog"}, "what a text leaves is a pure function of it and of the catalog"},
	"proxy/command":      {[]string{"proxy/wire", "proxy/query", "proxy/route", "proxy/pool"}, "it reads what is for pgherd itself; who answers is not its business"},
	"proxy/track":        {[]string{"proxy/effect", "proxy/pool", "proxy/wire"}, "what a client has changed is a function of what was done and said; it asks nobody"},
	"proxy/querylog":     {[]string{"proxy/wire"}, "a line is words about messages; who sends them and where to is not its business"},
	"proxy/statements":   {[]string{"proxy/track"}, "what a client has prepared is plain values; which server has it is its session's business"},
	"proxy/session": {[]string{"proxy/wire", "proxy/expect", "proxy/command", "proxy/effect", "proxy/track", "proxy/statements", "proxy/querylog", "proxy/query", "proxy/catalog", "proxy/nodes", "proxy/route", "proxy/pool", "proxy/cache", "proxy/metrics"},
		"the data path declares the Loop it needs, so that it runs on a simulated one"},
	"proxy/worker/registry": {[]string{"proxy/pool", "proxy/metrics", "proxy/nodes"}, "a table knows nobody who asks"},
	"proxy/worker/thread":   {[]string{"proxy/ring"}, "a thread is made fit for a worker; what runs on it is not its business"},
	"proxy/worker":          {[]string{"proxy/ring", "proxy/session", "proxy/worker/registry", "proxy/worker/thread"}, "a worker joins one ring with its sessions"},
	"proxy/login":           {[]string{"proxy/worker", "proxy/auth", "proxy/certs", "proxy/config"}, "a client is let in and handed over; it is told what others do for it"},
	"proxy/connect":         {[]string{"proxy/worker", "proxy/auth", "proxy/certs"}, "a connection to a node becomes a worker's server; why it is wanted is not its business"},
	"proxy/nodesql":         {[]string{"proxy/nodes"}, "it asks a node by SQL; what is asked is not its business"},
	"proxy/health":          {[]string{"proxy/nodesql", "proxy/failover", "proxy/nodes"}, "a prober asks, and tells what it saw; failover has the words for that"},
	"proxy/executor":        {[]string{"proxy/nodesql", "proxy/failover", "proxy/nodes"}, "an act is SQL on nodes; who decides on it is not its business"},
	"proxy/supervisor":      {[]string{"proxy/health", "proxy/executor", "proxy/failover"}, "it joins sights, decisions and acts, and knows no session"},
	"proxy/patroni":         {[]string{"proxy/failover"}, "it tells what Patroni says; who is to be believed is decided elsewhere"},
	"proxy/switchover":      {[]string{"proxy/failover", "proxy/nodes"}, "a switchover acts on nodes, never on sessions"},
	"proxy/recovery":        {[]string{"proxy/failover", "proxy/health"}, "recovery acts on nodes, never on sessions"},
	"proxy/scripts":         {[]string{"proxy/failover"}, "a command is told values; when it runs is decided elsewhere"},
	"proxy/control":         {[]string{"proxy/wire"}, "it runs commands for who may give them; what they do is not its business"},
	"proxy/events":          {nil, "what happened is plain values; who tells of it is not its business"},
	"proxy/status":          {[]string{"proxy/config", "proxy/events", "proxy/metrics", "proxy/nodes"}, "what is known of the whole is plain values; who shows it formats them"},
	"proxy/admin":           {[]string{"proxy/status", "proxy/config", "proxy/wire", "proxy/nodes", "proxy/metrics"}, "SHOW formats plain values that their owners handed over"},
	"proxy": {[]string{"proxy/worker", "proxy/health", "proxy/supervisor", "proxy/switchover", "proxy/recovery", "proxy/patroni", "proxy/scripts", "proxy/control", "proxy/admin", "proxy/config", "proxy/login", "proxy/connect", "bpf", "bpf/observe", "bpf/sentry"},
		"proxy assembles the data plane and never sees vip: each declares the interface it needs, cmd joins them"},

	"bpf":          {nil, "feature probes stand alone"},
	"bpf/observe":  {[]string{"bpf"}, "a BPF program's loader depends on the probes only"},
	"bpf/sentry":   {[]string{"bpf"}, "a BPF program's loader depends on the probes only"},
	"vip/peer":     {nil, "a connection is proved; what is said over it is not its business"},
	"vip/watchdog": {[]string{"vip/peer"}, "election knows nothing of addresses or of the proxy"},
	"vip/lease":    {nil, "who may hold an address until when is a function of messages and time; who sends them is not its business"},
	"vip/lane":     {nil, "a message is proved; what it says is not its business"},
	"vip/licence":  {nil, "until when a member may write is a function of messages and time; who sends them is not its business"},
	"vip/address":  {nil, "an address is added or removed; who decides is not its business"},
	"vip":          {[]string{"vip/watchdog", "vip/lane", "vip/lease", "vip/licence", "vip/address", "bpf/sentry"}, "vip never sees proxy: each declares the interface it needs, cmd joins them"},

	"bench":            {[]string{"bench/herd", "bench/"}, "the bench drives programs from outside"},
	"bench/":           {[]string{"bench/herd", "bench/"}, "workloads, peers and plots drive programs from outside"},
	"bench/herd":       {nil, "the herd drives programs from outside"},
	"cmd/pgherd/pglog": {[]string{"proxy/config"}, "the log is told its settings; it knows nobody who logs"},
	"cmd/pgherd/demo":  {[]string{"bench/herd"}, "the demo drives pgherd and PostgreSQL from outside, as a user does"},
	"cmd/pgherd":       {[]string{"cmd/pgherd/pglog", "cmd/pgherd/demo", "proxy", "vip", "bpf"}, "cmd joins the parts"},
	"cmd/pgherd-bench": {[]string{"bench"}, "the bench measures what users run, so it links none of it"},

	"proxy/ring/ringtest":     {[]string{"proxy/ring"}, "the simulated loop is the ring's twin"},
	"proxy/effect/effecttest": {[]string{"proxy/effect"}, "a database for tests of effects, and their words"},

	"proxy/certs/certstest":   {nil, "certificates for tests come from files and keys, and from nobody else"},
	"proxy/worker/workertest": {[]string{"proxy/worker"}, "it stands in for a worker in tests"},
	"proxy/wire/wiretest":     {[]string{"proxy/wire"}, "scripted peers speak messages only"},
}

// testOnly are folders with tests only, which no program can link.
func testOnly(folder string) bool { return strings.HasPrefix(folder, "kernel-tests/") }

// layerName is the row of a folder. "bench/" stands for every folder below bench that has no row of its own.
func layerName(folder string) string {
	if _, ok := layers[folder]; !ok && strings.HasPrefix(folder, "bench/") {
		return "bench/"
	}
	return folder
}

func mayImport(from, to string) bool {
	return reaches(layerName(from), layerName(to), nil)
}

func reaches(from, to string, above []string) bool {
	if slices.Contains(above, from) {
		return false
	}
	above = append(above, from)
	return slices.ContainsFunc(layers[from].may, func(m string) bool { return m == to || reaches(m, to, above) })
}

func checkOrder(s *source) []string {
	from := s.folder()
	if testOnly(from) || s.isTest() {
		return nil // a test may import any package
	}
	l, known := layers[layerName(from)]
	if !known {
		return []string{fmt.Sprintf("%s: package %s has no place in the order of layering_test.go: give it one", s.path, from)}
	}
	var broken []string
	for target := range s.imports() {
		to, ours := strings.CutPrefix(target, modulePath)
		if ours && !mayImport(from, to) {
			broken = append(broken, fmt.Sprintf("%s: %s may not import %s: %s", s.path, from, to, l.why))
		}
	}
	return broken
}

// owned are imports that only one package may have, or two.
var owned = []struct {
	what  string
	homes []string
	why   string
}{
	{"unsafe", []string{"proxy/ring/"}, "one folder to audit for memory shared with the kernel"},
	{"cilium/ebpf", []string{"bpf/"}, "taking BPF away must change speed only (I6), so nobody else may need it"},
	{"hashicorp/raft", []string{"vip/watchdog"}, "how members come to decide is one package's business"},
	{"netlink", []string{"vip/address", "bpf/sentry"}, "one package changes the machine's addresses, and one its filters"},
	{"pg_query", []string{"proxy/query"}, "it can crash the process, so its limits are kept in one place"},
	{"cel-go", []string{"proxy/route"}, "what an expression may cost is limited in one place"},
}

// within says whether a folder is a home; a home with a slash at its end stands for all below it, too.
func within(folder, home string) bool {
	return folder == strings.TrimSuffix(home, "/") || strings.HasSuffix(home, "/") && strings.HasPrefix(folder, home)
}

func checkOwned(s *source) []string {
	var broken []string
	for target := range s.imports() {
		for _, o := range owned {
			match := target == o.what || o.what != "unsafe" && strings.Contains(target, o.what)
			home := slices.ContainsFunc(o.homes, func(home string) bool { return within(s.folder(), home) })
			generatedBPF := s.generated && strings.HasPrefix(s.folder(), "bpf/")
			if match && !home && !generatedBPF {
				broken = append(broken, fmt.Sprintf("%s: imports %s, whose home is %s: %s", s.path, target, strings.Join(o.homes, ", "), o.why))
			}
		}
	}
	return broken
}

// pure are packages that get the time, random numbers and data from the network as arguments, so that a test can replay
// them.
var pure = []string{"proxy/session", "proxy/fifo", "proxy/expect", "proxy/effect", "proxy/track", "proxy/statements", "proxy/pool", "proxy/route", "proxy/query", "proxy/failover", "proxy/query/lex", "vip/lease"}

const whyPure = "it is handed what it needs, so that a simulation can replay it"

var clockNames = []string{"Now", "Since", "Until", "After", "AfterFunc", "NewTimer", "NewTicker", "Tick", "Sleep"}

func impure(target string) bool {
	switch target {
	case "net", "os", "syscall", "math/rand", "math/rand/v2", "crypto/rand", "golang.org/x/sys/unix":
		return true
	}
	return strings.HasPrefix(target, "os/") || strings.HasPrefix(target, "net/") && target != "net/netip"
}

func checkPure(s *source) []string {
	if s.isTest() || !slices.Contains(pure, s.folder()) {
		return nil
	}
	var broken []string
	imports := s.imports()
	for target := range imports {
		if impure(target) {
			broken = append(broken, fmt.Sprintf("%s: %s may not import %s: %s", s.path, s.folder(), target, whyPure))
		}
	}
	ast.Inspect(s.tree, func(n ast.Node) bool {
		selector, ok := n.(*ast.SelectorExpr)
		if !ok {
			return true
		}
		if x, ok := selector.X.(*ast.Ident); ok && x.Name == imports["time"] && slices.Contains(clockNames, selector.Sel.Name) {
			broken = append(broken, fmt.Sprintf("%s: %s may not use time.%s: %s", s.at(selector.Pos()), s.folder(), selector.Sel.Name, whyPure))
		}
		return true
	})
	return broken
}

func TestLayering(t *testing.T) {
	for _, s := range module(t) {
		for _, rule := range []func(*source) []string{checkOrder, checkOwned, checkPure, checkSends, checkStatus, checkStructs, checkLayer} {
			for _, broken := range rule(s) {
				t.Error(broken)
			}
		}
	}
}

func TestLayeringCatches(t *testing.T) {
	file := func(imports string) string { return "package x\nimport (" + imports + ")\n" }
	checkCaught(t, checkOrder, "proxy/wire/x.go", file(`"pgherd/proxy/pool"`), file(`"fmt"`))
	checkCaught(t, checkOrder, "proxy/session/x.go", file(`"pgherd/proxy/ring"`), file(`"pgherd/proxy/pool"; "pgherd/proxy/wire"`))
	checkCaught(t, checkOrder, "proxy/x.go", file(`"pgherd/vip"`), file(`"pgherd/proxy/session"`))
	checkCaught(t, checkOrder, "vip/x.go", file(`"pgherd/proxy/wire"`), file(`"pgherd/vip/address"`))
	checkCaught(t, checkOrder, "bench/load/x.go", file(`"pgherd/proxy/wire"`), file(`"pgherd/bench/herd"`))
	checkCaught(t, checkOrder, "cmd/pgherd-bench/x.go", file(`"pgherd/proxy"`), file(`"pgherd/bench/load"; "pgherd/bench"`))
	checkCaught(t, checkOwned, "proxy/wire/x.go", file(`"unsafe"`), file(`"strings"`))
	checkCaught(t, checkOwned, "proxy/health/x.go", file(`"github.com/cilium/ebpf/link"`), file(`"pgherd/bpf/observe"`))
	checkCaught(t, checkOwned, "vip/x.go", file(`"github.com/vishvananda/netlink"`), file(`"pgherd/vip/address"`))
	checkCaught(t, checkOwned, "bpf/observe/x.go", file(`"github.com/vishvananda/netlink"`), file(`"github.com/cilium/ebpf"`))
	checkCaught(t, checkOwned, "proxy/route/x.go", file(`pq "github.com/pganalyze/pg_query_go/v5"`), file(`"pgherd/proxy/query"`))
	checkCaught(t, checkOwned, "proxy/session/x.go", file(`"github.com/google/cel-go/cel"`), file(`"pgherd/proxy/route"`))
	checkCaught(t, checkPure, "proxy/route/x.go", file(`"math/rand/v2"`), file(`"math"`))
	checkCaught(t, checkPure, "proxy/pool/x.go", file(`"net"`), file(`"net/netip"`))
	checkCaught(t, checkOrder, "vip/lease/x.go", file(`"pgherd/vip/watchdog"`), file(`"time"`))
	checkCaught(t, checkPure, "vip/lease/x.go", file(`"time"`)+"var t = time.Now()\n", file(`"time"`)+"var t = 3 * time.Second\n")
	checkCaught(t, checkPure, "proxy/failover/x.go",
		file(`clock "time"`)+"var t = clock.Now()\n", file(`"time"`)+"var t = 3 * time.Second\n")
	if len(checkOrder(parse(t, "proxy/novel/x.go", "package novel"))) == 0 {
		t.Error("a package without a place in the order was not caught")
	}
	if len(checkOwned(parse(t, "proxy/ring/x.go", file(`"unsafe"`)))) != 0 {
		t.Error("the ring may import unsafe")
	}
}

// TestLayersAreAnOrder fails if the table allows a cycle.
func TestLayersAreAnOrder(t *testing.T) {
	var visit func(name string, above []string)
	visit = func(name string, above []string) {
		if slices.Contains(above, name) {
			t.Fatalf("the order has a circle: %s < %s", strings.Join(above, " < "), name)
		}
		l, known := layers[name]
		if !known {
			t.Errorf("a row allows %s, which has no row of its own", name)
		}
		for _, below := range l.may {
			if below == name {
				continue // folders below bench may import one another
			}
			visit(below, append(slices.Clone(above), name))
		}
	}
	for name := range layers {
		visit(name, nil)
	}
}
