package proxy

import (
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"pgherd/bench/herd"
	"pgherd/proxy/config"
)

// wrongLines are lines of a configuration with which a start fails, the parameter whose line the error names, and what
// it says. DIR is a folder with files of the test.
var wrongLines = []struct{ lines, parameter, says string }{
	{"app_name_redirect_preference_list = 'analytics:replica'", "app_name_redirect_preference_list", `"replica" is not a node: use a number, primary or standby`},
	{"database_redirect_preference_list = 'a:standby(2)'", "database_redirect_preference_list", `"2" is not a ratio from 0 to 1`},
	{"user_redirect_preference_list = 'x'", "user_redirect_preference_list", "it is not name:node or name:node(ratio)"},
	{"user_redirect_preference_list = 'x,a:0,y'", "user_redirect_preference_list", `read preference "y"`},
	{"app_name_redirect_preference_list = 'a(b:1'", "app_name_redirect_preference_list", "missing closing )"},
	{"balance_expression = 'nope > 1'", "balance_expression", "parse expression: "},
	{"balance_expression = 'node.lag_ms'", "balance_expression", "parse expression: "},
	{"ident_file = '/nonexistent'", "ident_file", "no such file"},
	{"ident_file = 'DIR/bad.map'", "", "DIR/bad.map:1: "},
	{"enable_pool_hba = on", "enable_pool_hba", "could not open file \"DIR/pool_hba.conf\": no such file"},
	{"ssl = on\nssl_cert = '/nonexistent'\nssl_key = 'DIR/text'", "ssl_cert", "read TLS certificate: open /nonexistent: no such file"},
	{"ssl = on\nssl_cert = 'DIR/text'\nssl_key = '/nonexistent'", "ssl_key", "read TLS key: open /nonexistent: no such file"},
	{"ssl = on\nssl_cert = 'DIR/text'\nssl_key = 'DIR/text'", "ssl_cert", "load TLS certificate DIR/text"},
	{"ssl = on\nssl_cert = 'DIR/text'\nssl_key = 'DIR/text'\nssl_ca_cert = '/none'", "ssl_ca_cert", "read TLS authorities: open /none"},
	{"ssl = on\nssl_cert = 'DIR/text'\nssl_key = 'DIR/text'\nssl_ca_cert = 'DIR/text'\nssl_crl_file = '/none'", "ssl_crl_file", "read TLS revocation list: open /none"},
	{"server_tls_sslmode = verify-full\nserver_tls_ca_file = '/nonexistent'", "server_tls_ca_file", "read TLS authorities: open /nonexistent"},
	{"server_tls_sslmode = require\nserver_tls_cert_file = '/none'\nserver_tls_key_file = 'DIR/text'", "server_tls_cert_file", "read TLS certificate: open /none"},
	{"server_tls_sslmode = require\nserver_tls_cert_file = 'DIR/text'\nserver_tls_key_file = '/none'", "server_tls_key_file", "read TLS key: open /none"},
	{"patroni_ca_file = '/none'", "patroni_ca_file", "read TLS authorities: open /none"},
	{"patroni_ca_file = 'DIR/text'", "patroni_ca_file", "DIR/text holds no certificate"},
	{"patroni_cert_file = '/none'\npatroni_key_file = 'DIR/text'", "patroni_cert_file", "read TLS certificate: open /none"},
	{"patroni_cert_file = 'DIR/text'\npatroni_key_file = '/none'", "patroni_key_file", "read TLS key: open /none"},
	{"unix_socket_group = 'nogroupx'", "unix_socket_group", "unknown group nogroupx"},
	{"unix_socket_directories = 'DIR/none'", "unix_socket_directories", "stat DIR/none: no such file"},
	{"unix_socket_directories = 'DIR/text'", "unix_socket_directories", "DIR/text is no folder"},
	{"listen_addresses = '192.0.2.1'", "listen_addresses", `listen at "192.0.2.1": it is not an address of this host`},
	{"listen_addresses = '192.0.2.1,127.0.0.1,198.51.100.1'", "listen_addresses", `listen at "198.51.100.1": it is not an address of this host`},
	{"listen_addresses = '192.0.2.1'\nunix_socket_group = 'nogroupx'", "unix_socket_group", "unknown group nogroupx"},
	{"listen_addresses = '127.0.0.1,no such name'", "listen_addresses", `listen at "no such name"`},
}

// TestCheckSaysWhatAStartSays checks that Check finds, with one node and with two, what makes Start fail, with the same text and
// the line of the configuration.
func TestCheckSaysWhatAStartSays(t *testing.T) {
	port, err := herd.FreePort()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for name, text := range map[string]string{"text": "no PEM", "bad.map": "one\n"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, row := range wrongLines {
		for _, second := range []string{"", "backend_hostname1 = localhost\n"} {
			lines := strings.ReplaceAll("backend_hostname0 = localhost\n"+second+fmt.Sprintf("port = %d\n", port)+"unix_socket_directories = 'DIR'\nlisten_addresses = ''\n"+row.lines+"\n", "DIR", dir)
			c := parsed(t, filepath.Join(dir, "pgherd.conf"), lines)
			log := slog.New(slog.DiscardHandler)
			want := strings.ReplaceAll(row.says, "DIR", dir)
			if row.parameter != "" {
				want = lineOf(c, lines, row.parameter)
			}
			err := Check(t.Context(), c, log)
			if err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), strings.ReplaceAll(row.says, "DIR", dir)) {
				t.Errorf("%s: got error %v, want %s ... %s", row.lines, err, want, row.says)
				continue
			}
			if p, started := Start(t.Context(), c, log, "", nil); started == nil {
				p.Drain(Immediate)
				t.Errorf("%s: pgherd starts", row.lines)
			} else if started.Error() != err.Error() {
				t.Errorf("%s: the check returns %v, but a start %v", row.lines, err, started)
			}
		}
	}
}

// TestStartTellsWhoHasThePort checks that the error for a port in use, which only a start can find, names the line.
func TestStartTellsWhoHasThePort(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	lines := fmt.Sprintf("backend_hostname0 = localhost\nunix_socket_directories = ''\nlisten_addresses = '127.0.0.1'\nport = %d\n", taken.Addr().(*net.TCPAddr).Port)
	c, log := parsed(t, filepath.Join(t.TempDir(), "pgherd.conf"), lines), slog.New(slog.DiscardHandler)
	if err := Check(t.Context(), c, log); err != nil {
		t.Error(err)
	}
	if _, err := Start(t.Context(), c, log, "", nil); err == nil || !strings.HasPrefix(err.Error(), lineOf(c, lines, "listen_addresses")) {
		t.Errorf("got error %v", err)
	}
}

// TestCheckSaysAllAtOnce checks that all errors are reported together.
func TestCheckSaysAllAtOnce(t *testing.T) {
	lines := "backend_hostname0 = localhost\nbackend_hostname1 = localhost\nunix_socket_directories = '/none'\n" +
		"user_redirect_preference_list = 'x,y'\nbalance_expression = 'nope'\nident_file = '/none'\nunix_socket_group = nogroupx\n" +
		"enable_pool_hba = on\nssl = on\nssl_cert = '/none'\nssl_key = '/none'\nserver_tls_sslmode = verify-ca\nserver_tls_ca_file = '/none'\n" +
		"server_tls_cert_file = '/none'\nserver_tls_key_file = '/none'\n"
	err := Check(t.Context(), parsed(t, "/nowhere/pgherd.conf", lines), slog.New(slog.DiscardHandler))
	if got := strings.Split(err.Error(), "\n"); len(got) != 12 {
		t.Errorf("got %d errors:\n%v", len(got), err)
	}
}

// parsed is a configuration of these lines.
func parsed(t *testing.T, file, lines string) *config.Config {
	t.Helper()
	c, _, err := config.Parse(func(string) (io.ReadCloser, error) { return io.NopCloser(strings.NewReader(lines)), nil }, file, config.CommandLine{})
	if err != nil {
		t.Fatal(lines, err)
	}
	return c
}

// lineOf is the beginning of an error about a parameter, which names the last line that sets it.
func lineOf(c *config.Config, lines, parameter string) string {
	number := 0
	for i, line := range strings.Split(lines, "\n") {
		if strings.HasPrefix(line, parameter+" ") {
			number = i + 1
		}
	}
	return config.Problem{File: c.File, Line: number, Text: parameter + ": "}.Error()
}
