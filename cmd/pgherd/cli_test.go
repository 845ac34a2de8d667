package main

import (
	"strings"
	"testing"

	"pgherd/proxy/config"
	"pgherd/proxy/recovery"
)

func TestVersions(t *testing.T) {
	s := newSite(t, "")
	for _, test := range []struct{ name, flag, want string }{
		{"pgherd", "--version", "pgherd 0.1.0\n"},
		{"pgherd", "version", "pgherd 0.1.0\n"},
		{"pgpool", "--version", "pgpool-II version 4.7.0 (pgherd 0.1.0)\n"},
		{"pgpool", "-v", "pgpool-II version 4.7.0 (pgherd 0.1.0)\n"},
	} {
		if out, code := s.call(test.name, []string{test.flag}); out != test.want || code != 0 {
			t.Errorf("%s %s: got status %d, output %q", test.name, test.flag, code, out)
		}
	}
}

func TestPgpoolOptions(t *testing.T) {
	for _, test := range []struct{ args, want string }{
		{"", "level=warning discard=false hba=DIR/pool_hba.conf pcp=DIR/pcp.conf key=/nowhere/.pgpoolkey"},
		{"-D", "level=warning discard=true"},
		{"-Dd -C -x", "level=debug1 discard=true"},
		{"-a h -F /p -k k", "hba=DIR/h pcp=/p key=DIR/k"},
		{"--hba-file=h --pcp-file p --key-file=/k --discard-status --debug", "level=debug1 discard=true hba=DIR/h pcp=DIR/p key=/k"},
		{"--clear-oidmaps --debug-assertions", "discard=false"},
	} {
		s := newSite(t, "")
		out, code := s.pgpool(append(strings.Fields(test.args), "-f", "pgpool.conf")...)
		if code != 0 {
			t.Errorf("%s: got status %d, output %s", test.args, code, out)
		}
		if want := strings.ReplaceAll(test.want, "DIR", s.dir); !strings.Contains(s.read("events"), want) {
			t.Errorf("%s: got %s, want %s", test.args, s.read("events"), want)
		}
		if out, code := s.pgpool("-D", "-n", "--config-file", "pgpool.conf", "-m", "f", "stop"); code != 0 {
			t.Errorf("stop: got status %d, output %s", code, out)
		}
	}
}

func TestBadCommandLines(t *testing.T) {
	s := newSite(t, "")
	for _, test := range []struct{ name, args, want string }{
		{"pgpool", "-f pgpool.conf start", `pgpool: unknown command "start"; accepted are stop and reload`},
		{"pgpool", "-f pgpool.conf stop now", `pgpool: accepts at most 1 arg(s), received 2`},
		{"pgpool", "-f pgpool.conf -m slowly stop", `pgpool: invalid argument "slowly" for "-m, --mode" flag: accepted are smart, fast, immediate`},
		{"pgpool", "-Z", `pgpool: unknown shorthand flag: 'Z' in -Z`},
		{"pgpool", "-f none.conf", `pgpool: DIR/none.conf: no such file or directory; name a file by -f, or write one: pgherd config sample > FILE`},
		{"pgpool", "completion", `pgpool: unknown command "completion"; accepted are stop and reload`},
		{"pgherd", "stop -f none.conf", `pgherd: stop: stat DIR/none.conf: no such file or directory`},
		{"pgherd", "stop -f pgpool.conf", `pgherd: stop: no pid file DIR/pid; is the server running?`},
		{"pgherd", "reload -f pgpool.conf", `pgherd: reload: no pid file DIR/pid; is the server running?`},
		{"pgherd", "nonsense", `pgherd: unknown command "nonsense"; pgherd --help lists what there is`},
		{"pgherd", "relaod", `pgherd: unknown command "relaod"; did you mean reload?`},
		{"pgherd", "check", `pgherd: unknown command "check"; did you mean check-config?`},
		{"pgherd", "check-config none.conf", `pgherd: DIR/none.conf: no such file or directory; name a file by -f, or write one: pgherd config sample > FILE`},
	} {
		out, code := s.call(test.name, strings.Fields(test.args))
		if want := strings.ReplaceAll(test.want, "DIR", s.dir) + "\n"; out != want || code != 1 {
			t.Errorf("%s %s: got status %d\n got %swant %s", test.name, test.args, code, out, want)
		}
	}
}

func TestCheckConfig(t *testing.T) {
	s := newSite(t, "num_init_children = 5\n")
	if out, code := s.pgherd("check-config", "-f", "pgpool.conf"); code != 0 ||
		out != "warning: "+s.path("pgpool.conf")+": accepted, but not in effect in this version: num_init_children\n"+s.path("pgpool.conf")+": no errors\n" {
		t.Errorf("got status %d, output %s", code, out)
	}
	s.write("bad.conf", "prot = 1\nssl = on\npid_file_name = 'none/pid'\nuser_redirect_preference_list = 'x'\n")
	out, code := s.pgherd("check-config", "-f", "bad.conf")
	if strings.Count(out, "pgherd: "+s.path("bad.conf")) != 5 || code != 1 {
		t.Errorf("got status %d, output %s", code, out)
	}
}

func TestConfigPrints(t *testing.T) {
	s := newSite(t, "")
	if out, _ := s.pgherd("config", "sample"); out != config.Sample() {
		t.Errorf("the sample begins with %.200s", out)
	}
	if out, _ := s.pgherd("config", "manual"); out != config.Manual() {
		t.Errorf("the manual begins with %.200s", out)
	}
	for _, name := range recovery.Scripts() {
		if out, _ := s.pgherd("recovery-script", name); out != recovery.Script(name) {
			t.Errorf("the script %s begins with %.200s", name, out)
		}
	}
	if out, code := s.pgherd("recovery-script", "3rd_stage"); code != 1 || !strings.Contains(out, `"3rd_stage"`) {
		t.Errorf("a script that is not there: got status %d, output %s", code, out)
	}
}
