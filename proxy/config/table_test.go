package config

import (
	"math"
	"os"
	"strings"
	"testing"
	"time"
)

// differs lists what differs from Pgpool-II on purpose. The doc text says so if the default differs.
var differs = map[string]bool{
	"backend_port default": true, "backend_weight default": true, "connection_life_time default": true,
	"connection_life_time context": true, "logdir default": true,
	"wd_port default": true, "pgpool_port default": true, "heartbeat_port default": true,
	"hostname context": true, "wd_port context": true, "pgpool_port context": true, "wd_authkey context": true,
	"wd_escalation_command context": true, "wd_de_escalation_command context": true,
	"wd_authkey hidden": true, "backend_clustering_mode words": true,
}

// TestEveryPgpoolParameter compares the table of parameters with Pgpool-II's list.
func TestEveryPgpoolParameter(t *testing.T) {
	text, err := os.ReadFile("testdata/pgpool-params.tsv")
	if err != nil {
		t.Fatal(err)
	}
	rows := strings.Split(strings.TrimSpace(string(text)), "\n")[1:]
	if len(rows) < 190 {
		t.Fatalf("only %d rows", len(rows))
	}
	for _, row := range rows {
		col := strings.Split(row, "\t")
		name, flags := strings.TrimSuffix(col[0], "N"), col[7]
		p, ok := Find(name)
		if !ok {
			t.Errorf("%s is not in the table", name)
			continue
		}
		if flags == "VAR_PART_OF_GROUP" {
			continue
		}
		expect := func(what, got, want string) {
			if got != want && !differs[name+" "+what] {
				t.Errorf("%s %s: got %s, want %s", name, what, got, want)
			}
		}
		expect("kind", kindWords(p), col[1])
		expect("default", normal(p, p.Default), normal(p, strings.Trim(col[2], "'")))
		expect("context", p.Context.String(), col[3])
		expect("hidden", yes(p.Secret), yes(flags == "VAR_HIDDEN_VALUE"))
		if flags == "VAR_HIDDEN_IN_SHOW_ALL" && p.Alias != name {
			t.Errorf("%s: an old name must be an alias, which SHOW does not list", name)
		}
		if p.Kind == Enum {
			expect("words", strings.Join(p.Options, "|"), col[6])
		}
		if col[5] != "" {
			expect("unit", strings.ReplaceAll(string(p.Unit), "B", ""), strings.ReplaceAll(strings.ReplaceAll(col[5], "bytes", ""), "B", ""))
		}
	}
}

func yes(b bool) string { return map[bool]string{true: "yes", false: "no"}[b] }

// kindWords is the table's kind in the words of the list.
func kindWords(p *Param) string {
	words := map[Kind]string{String: "string", Bool: "bool", Integer: "integer", Real: "real", Enum: "enum", List: "string list"}[p.Kind]
	if p.Max == maxLong {
		words = "integer(long)"
	}
	if p.Name == "backend_flag" || p.Name == "log_destination" {
		words = "string" // here it is a list of words
	}
	if p.Indexed() {
		words += " (per-index array)"
	}
	return words
}

func normal(p *Param, text string) string {
	if text == "10 * 1024" {
		text = "10240"
	}
	v, err := p.parse(text)
	if err != nil {
		return "bad " + text
	}
	return p.written(v)
}

func TestTableIsWellFormed(t *testing.T) {
	seen := map[string]bool{}
	for _, p := range Params() {
		lower := strings.ToLower(p.Name)
		switch {
		case seen[lower]:
			t.Errorf("parameter %s is in the table twice", p.Name)
		case p.Doc == "" || !strings.HasSuffix(p.Doc, "."):
			t.Errorf("parameter %s: its doc is not a sentence", p.Name)
		case groupTitles[p.Group] == "":
			t.Errorf("parameter %s: its group %q has no title", p.Name, p.Group)
		case (p.Kind == Integer || p.Kind == Real) != (p.Max > p.Min):
			t.Errorf("parameter %s: its range is %v to %v", p.Name, p.Min, p.Max)
		case p.IntoNode != nil && !p.Indexed():
			t.Errorf("parameter %s is set per node, but has no index", p.Name)
		case strings.ContainsAny(p.Name[len(p.Name)-1:], "0123456789"):
			t.Errorf("parameter %s ends in a digit, which would be an index", p.Name)
		case p.Kind == Enum && len(p.Options) == 0:
			t.Errorf("parameter %s is an enum without words", p.Name)
		}
		seen[lower] = true
	}
	for _, c := range checks {
		for _, name := range c.uses {
			if byName[name] == nil {
				t.Errorf("a check uses the unknown parameter %s", name)
			}
		}
	}
}

func TestChangedDefaultsAreDocumented(t *testing.T) {
	for what := range differs {
		name, isDefault := strings.CutSuffix(what, " default")
		if p := byName[strings.ToLower(name)]; isDefault && name != "logdir" && !strings.Contains(p.Doc, "Pgpool-II") {
			t.Errorf("%s: doc does not say what Pgpool-II's default is", name)
		}
	}
}

func TestSampleIsTheDefaults(t *testing.T) {
	plain := parse(t, Sample())
	want := parse(t, "backend_hostname0 = 'localhost'")
	if ch := plain.Diff(want); len(ch.Reload)+len(ch.Restart) != 0 {
		t.Errorf("the sample differs from the defaults in %v", ch)
	}
	// With every comment sign before a setting removed, the sample still has the defaults, and names everything.
	var full strings.Builder
	for line := range strings.Lines(Sample()) {
		if strings.HasPrefix(line, "#") && !strings.HasPrefix(line, "# ") && !strings.Contains(line, "backend_hostname0") {
			line = line[1:]
		}
		full.WriteString(line)
	}
	all := parse(t, full.String())
	if ch := all.Diff(want); len(ch.Reload)+len(ch.Restart) != 0 {
		t.Errorf("the uncommented sample differs from the defaults in %v", ch)
	}
	for _, p := range Params() {
		if !all.settings().given(strings.ToLower(p.Name), noIndex) && !all.settings().given(strings.ToLower(p.Name), 0) {
			t.Errorf("%s is not in the sample", p.Name)
		}
	}
}

func TestManualIsUpToDate(t *testing.T) {
	text, err := os.ReadFile("../../docs/manual/configuration.md")
	if err != nil {
		t.Fatal(err)
	}
	if string(text) != Manual() {
		t.Error("docs/manual/configuration.md is out of date: run go generate ./proxy/config")
	}
}

func TestShowUsesTheLargestUnit(t *testing.T) {
	for line, want := range map[string]string{
		"server_idle_timeout = 600": "10min", "server_idle_timeout = 0": "0", "server_idle_timeout = 90": "90s",
		"server_idle_timeout = 86400": "1d", "connect_timeout = 1500": "1500ms", "memqcache_total_size = 64MB": "64MB",
		"log_rotation_size = 3000": "3000kB", "client_idle_limit_in_recovery = -1": "-1", "log_file_mode = 0640": "0640",
		"track_table_mutation_ttl_factor = 2.50": "2.5", "ssl = FALSE": "off", "syslog_facility = local3": "LOCAL3",
		"health_check_timeout = 250ms": "250ms", "health_check_timeout = 3": "3s", "health_check_timeout = 0.3s": "300ms", "health_check_period = 90": "90s",
		"server_lifetime = 1.5min": "90s", "num_init_children = 0x10": "16",
		"pool_passwd = 'secrets'": Masked, "pool_passwd = ''": "", "listen_addresses = 'a , b'": "a,b",
	} {
		name, _, _ := strings.Cut(line, " ")
		s, ok := parse(t, oneNode+line).Show(name)
		if !ok || s.Value != want {
			t.Errorf("%s: got %q, want %q", line, s.Value, want)
		}
	}
}

// TestChecksOfLessThanASecond checks that a node may be checked more often than each second, and that a number
// without a unit counts seconds all the same.
func TestChecksOfLessThanASecond(t *testing.T) {
	for text, want := range map[string]time.Duration{"250ms": 250 * time.Millisecond, "0.5s": 500 * time.Millisecond, "2": 2 * time.Second, "0": 0, "2147483647": math.MaxInt32 * time.Second} {
		h := parse(t, oneNode+"health_check_timeout = "+text+"\nhealth_check_period = "+text+"\nhealth_check_retry_delay = "+text).Nodes[0].Health
		if h.Timeout != want || h.Period != want || h.RetryDelay != want {
			t.Errorf("%s: timeout %v, period %v, delay %v, want %v", text, h.Timeout, h.Period, h.RetryDelay, want)
		}
	}
}

func TestSettingsCoverNodes(t *testing.T) {
	c := parse(t, oneNode+"backend_hostname3 = db3\nhealth_check_period = 5\nhealth_check_period3 = 7\nhostname1 = peer")
	got := map[string]string{}
	for _, s := range c.Settings() {
		if _, twice := got[s.Name]; twice {
			t.Errorf("%s is listed twice", s.Name)
		}
		got[s.Name] = s.Value
	}
	for name, want := range map[string]string{"backend_port0": "5432", "backend_port3": "5432",
		"health_check_period0": "5s", "health_check_period3": "7s", "hostname1": "peer", "port": "9999"} {
		if got[name] != want {
			t.Errorf("%s: got %q, want %q", name, got[name], want)
		}
	}
	for _, name := range []string{"backend_port1", "hostname0", "health_check_period"} {
		if _, ok := got[name]; ok {
			t.Errorf("%s is listed", name)
		}
	}
}
