package proxy

import (
	"bytes"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"pgherd/bench/herd"
	"pgherd/bench/herd/herdtest"
	"pgherd/proxy/config"
)

// testProxy is all of pgherd, in this process, in front of a herd.
type testProxy struct {
	*Proxy
	t    *testing.T
	dir  string
	port int

	mu  sync.Mutex
	log bytes.Buffer
}

func (p *testProxy) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.log.Write(b)
}

func (p *testProxy) logged() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.log.String()
}

// startProxy runs pgherd with these files beside its configuration. lines are added at the end of pgpool.conf, where
// they take precedence.
func startProxy(t *testing.T, h *herd.Herd, files map[string]string, lines ...string) *testProxy {
	t.Helper()
	return startAmong(t, h, nil, files, lines...)
}

// startAmong is startProxy for a pgherd that has peers.
func startAmong(t *testing.T, h *herd.Herd, peers *Peers, files map[string]string, lines ...string) *testProxy {
	t.Helper()
	p := &testProxy{t: t, dir: t.TempDir()}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p.port = l.Addr().(*net.TCPAddr).Port
	l.Close()
	for name, text := range files {
		p.write(name, text)
	}
	node := h.Nodes()[0]
	conf := append([]string{fmt.Sprintf("port = %d", p.port), "listen_addresses = '127.0.0.1'", "unix_socket_directories = ''",
		"pcp_listen_addresses = ''", "pcp_socket_dir = ''", "pid_file_name = 'pid'", "work_dir = '.'", "io_engine = epoll",
		"enable_pool_hba = on", "pool_passwd = 'pool_passwd'", "sr_check_period = 1", "sr_check_user = postgres", "sr_check_password = postgres", "log_connections = on",
		"backend_hostname0 = '127.0.0.1'", fmt.Sprintf("backend_port0 = %d", node.Port), "backend_flag0 = ALWAYS_PRIMARY"}, lines...)
	p.write("pgpool.conf", strings.Join(conf, "\n")+"\n")
	if p.Proxy, err = Start(t.Context(), p.config(), slog.New(slog.NewTextHandler(p, nil)), "test", peers); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.stop)
	return p
}

func (p *testProxy) stop() {
	p.Drain(Immediate)
	if err := p.Wait(); err != nil {
		p.t.Error(err)
	}
	for _, secret := range []string{"-secret", "SCRAM-SHA-256$", "md5"} {
		if strings.Contains(strings.ReplaceAll(p.logged(), "method=md5", ""), secret) {
			p.t.Errorf("%q is in the log", secret)
		}
	}
	if p.t.Failed() {
		p.t.Logf("log:\n%s", p.logged())
	}
}

func (p *testProxy) write(name, text string) {
	if err := os.WriteFile(filepath.Join(p.dir, name), []byte(text), 0o600); err != nil {
		p.t.Fatal(err)
	}
}

func (p *testProxy) read(name string) string {
	text, err := os.ReadFile(filepath.Join(p.dir, name))
	if err != nil {
		p.t.Fatal(err)
	}
	return string(text)
}

func (p *testProxy) config() *config.Config {
	p.t.Helper()
	c, _, err := config.Load(filepath.Join(p.dir, "pgpool.conf"), config.CommandLine{})
	if err != nil {
		p.t.Fatal(err)
	}
	return c
}

func (p *testProxy) psql(options, password, sql string) (string, error) {
	p.t.Helper()
	return herdtest.Psql(p.t, fmt.Sprintf("host=127.0.0.1 port=%d %s", p.port, options), password, sql)
}

// loginCase is one log-in by psql. want is the user that PostgreSQL sees, or a part of the error.
type loginCase struct {
	options, password string
	fails             bool
	want              string
}

func (p *testProxy) check(cases []loginCase) {
	p.t.Helper()
	for _, c := range cases {
		out, err := p.psql(c.options, c.password, "select current_user")
		if (err != nil) != c.fails || !strings.Contains(out, c.want) {
			p.t.Errorf("%s with password %q: got error %v, output %s; want %q", c.options, c.password, err, out, c.want)
		}
	}
}

// TestNoPasswordIsStored uses auth_query and SCRAM pass-through, with a server that asks for
// scram-sha-256 or md5.
func TestNoPasswordIsStored(t *testing.T) {
	t.Parallel()
	h := herdtest.StartTLS(t, `
		CREATE ROLE carol LOGIN PASSWORD 'carol-secret';
		SET password_encryption = md5; CREATE ROLE mike LOGIN PASSWORD 'mike-secret'; CREATE ROLE mike2 LOGIN PASSWORD 'mike2-secret'; RESET password_encryption;
		CREATE ROLE mia LOGIN PASSWORD 'mia-secret'; CREATE ROLE paul LOGIN PASSWORD 'paul-secret';
		CREATE ROLE late LOGIN PASSWORD 'late-secret' VALID UNTIL '2001-01-01';
		CREATE ROLE nologin PASSWORD 'nologin-secret';
		CREATE ROLE bare LOGIN;
		CREATE SCHEMA evil; GRANT ALL ON SCHEMA evil TO PUBLIC`,
		"host all carol 127.0.0.1/32 scram-sha-256", "host all all 127.0.0.1/32 md5")
	p := startProxy(t, h, map[string]string{
		"pool_hba.conf": "host all mike,mia all md5\nhost all paul,mike2 all password\nhost all all all scram-sha-256\n",
		"pool_passwd":   "asker:TEXTasker-secret\n",
	}, "auth_user = postgres", "auth_password = postgres", "auth_query_cache_ttl = 1h")
	const refused = "password authentication failed for user"
	p.check([]loginCase{
		{"user=carol dbname=app", "carol-secret", false, "carol"},
		{"user=carol dbname=app options=-csearch_path=evil", "carol-secret", false, "carol"},
		{"user=carol dbname=app", "wrong", true, refused},
		{"user=mike dbname=app", "mike-secret", false, "mike"},
		{"user=mike dbname=app", "wrong", true, refused},
		{"user=mia dbname=app", "mia-secret", false, "mia"}, // md5 becomes SCRAM
		{"user=paul dbname=app", "paul-secret", false, "paul"},
		{"user=paul dbname=app", "paul-secret", false, "paul"},
		{"user=paul dbname=app", "wrong", true, refused},
		{"user=mike2 dbname=app", "mike2-secret", false, "mike2"},
		{"user=late dbname=app", "late-secret", true, refused},
		{"user=nologin dbname=app", "nologin-secret", true, refused},
		{"user=bare dbname=app", "x", true, refused},
		{"user=nobody dbname=app", "x", true, refused},
	})
	p.checkChangedPasswords(h)
}

// checkChangedPasswords checks that the old password stops working and the new one works at once,
// or for SCRAM at the second attempt, though answers are remembered for an hour.
func (p *testProxy) checkChangedPasswords(h *herd.Herd) {
	p.t.Helper()
	time.Sleep(1100 * time.Millisecond) // answers are used for a second
	for _, sql := range []string{"ALTER ROLE carol PASSWORD 'carol2-secret'", "ALTER ROLE paul PASSWORD 'paul2-secret'",
		"SET password_encryption = md5; ALTER ROLE mike PASSWORD 'mikes2-secret'"} {
		if _, err := h.Exec(p.t.Context(), sql); err != nil {
			p.t.Fatal(err)
		}
	}
	p.psql("user=carol dbname=app", "carol2-secret", "select 1")
	p.check([]loginCase{
		{"user=carol dbname=app", "carol2-secret", false, "carol"},
		{"user=carol dbname=app", "carol-secret", true, "password authentication failed"},
		{"user=paul dbname=app", "paul2-secret", false, "paul"},
		{"user=mike dbname=app", "mikes2-secret", false, "mike"},
		{"user=mike dbname=app", "mike-secret", true, "password authentication failed"},
	})
}
