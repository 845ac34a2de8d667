package auth

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"pgherd/bench/herd"
)

// serverLine is a row of pg_hba_file_rules or pg_ident_file_mappings.
type serverLine struct {
	Number  int      `json:"line_number"`
	File    string   `json:"file_name"` // from PostgreSQL 16
	Error   string   `json:"error"`
	Type    string   `json:"type"`
	DB      []string `json:"database"`
	Users   []string `json:"user_name"`
	Address string   `json:"address"`
	Netmask string   `json:"netmask"`
	Method  string   `json:"auth_method"`
	Map     string   `json:"map_name"`
	System  string   `json:"sys_name"`
	User    string   `json:"pg_username"`
}

// namedFiles are the files that the files of testdata name.
var namedFiles = map[string]string{
	"names": "alice bob,carol # three\n\"dave d\"\n@more", "more": "erin", "empty": "# nobody\n", "method": "trust", "loop": "@loop",
	"included.conf": "local all all trust\ninclude_dir folder\n", "folder/b.conf": "local b all trust\n", "folder/a.conf": "local a all trust\n",
	"folder/.hidden.conf": "nonsense", "folder/c.conf~": "nonsense",
}

// oracle is a PostgreSQL server, with the folder of its files.
type oracle struct {
	*herd.Herd
	t       *testing.T
	dir     string
	version int
}

// oldestOracle is the first release that reads pg_hba.conf as pgherd reads pool_hba.conf, whatever the nodes
// are: continued lines and clientname came with 14, pg_ident_file_mappings with 15.
const oldestOracle = 15

func startOracle(t *testing.T) *oracle {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	h, err := herd.Start(ctx, herd.Settings{TLS: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { h.Stop() })
	o := &oracle{Herd: h, t: t, dir: h.Nodes()[0].Dir}
	o.version, _ = strconv.Atoi(o.exec("SELECT current_setting('server_version_num')::int / 10000"))
	if o.version < oldestOracle {
		t.Skipf("PostgreSQL %d reads pg_hba.conf differently from %d and newer", o.version, oldestOracle)
	}
	if err := os.Mkdir(filepath.Join(o.dir, "folder"), 0o755); err != nil {
		t.Fatal(err)
	}
	for name, text := range namedFiles {
		write(t, filepath.Join(o.dir, name), text, 0o644)
	}
	return o
}

func (o *oracle) exec(sql string) string {
	o.t.Helper()
	out, err := o.Exec(o.t.Context(), sql)
	if err != nil {
		o.t.Fatal(err)
	}
	return out
}

// put writes a file of testdata into the server's folder, without the end that the server is too old for, and
// returns its lines. Servers read the file when they are asked for its rows.
func (o *oracle) put(name string) (path string, lines []string) {
	o.t.Helper()
	text, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		o.t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		from, is := strings.CutPrefix(line, "# from PostgreSQL ")
		if version, _ := strconv.Atoi(strings.TrimSpace(from)); is && version > o.version {
			break
		}
		lines = append(lines, line)
	}
	path = filepath.Join(o.dir, name)
	write(o.t, path, strings.Join(lines, ""), 0o644)
	return path, lines
}

func (o *oracle) view(name string) (rows []serverLine) {
	o.t.Helper()
	if err := json.Unmarshal([]byte(o.exec("SELECT json_agg(r) FROM "+name+" r")), &rows); err != nil {
		o.t.Fatal(err)
	}
	return rows
}

var placed = regexp.MustCompile(`(?m)^(\S+?):(\d+): (.*)$`)

// errorsOf returns the errors by place.
func errorsOf(err error) map[string]string {
	found := map[string]string{}
	if err == nil {
		return found
	}
	for _, m := range placed.FindAllStringSubmatch(err.Error(), -1) {
		found[m[1]+":"+m[2]] = m[3]
	}
	return found
}

// TestRulesAreReadAsByPostgreSQL compares what a real server reads in each line with what pgherd
// reads.
func TestRulesAreReadAsByPostgreSQL(t *testing.T) {
	o := startOracle(t)
	path, lines := o.put("pg_hba.conf")
	h := &HBA{}
	r := &reader{source: disk}
	wrong := errorsOf(r.eachLine(path, func(l *line) error {
		rule, err := parseRule(l)
		if err == nil {
			h.Rules = append(h.Rules, rule)
		}
		return err
	}))
	rules := map[string][]string{}
	for i := range h.Rules {
		at := h.Rules[i].place().String()
		rules[at] = append(rules[at], h.Rules[i].shape())
	}
	o.compare(path, lines, o.view("pg_hba_file_rules"), rules, wrong)
}

// TestMapsAreReadAsByPostgreSQL checks the same for pg_ident.conf.
func TestMapsAreReadAsByPostgreSQL(t *testing.T) {
	o := startOracle(t)
	path, lines := o.put("pg_ident.conf")
	maps := map[string][]string{}
	r := &reader{source: disk}
	wrong := errorsOf(r.eachLine(path, func(l *line) error {
		parsed, err := parseIdentLine(l)
		if err == nil {
			maps[parsed.place.String()] = append(maps[parsed.place.String()], strings.Join([]string{parsed.name, parsed.system.text, parsed.user.text}, " | "))
		}
		return err
	}))
	o.compare(path, lines, o.view("pg_ident_file_mappings"), maps, wrong)
}

// compare goes through the server's rows, each of which pgherd's reading must equal, and then looks for places
// that only pgherd has.
func (o *oracle) compare(path string, lines []string, rows []serverLine, ours map[string][]string, wrong map[string]string) {
	o.t.Helper()
	seen := map[string]bool{}
	for _, row := range rows {
		at := place{row.File, row.Number}
		if row.File == "" {
			at.file = path
		}
		text, mark := "", ""
		if at.file == path {
			text = strings.TrimSpace(lines[row.Number-1])
			_, mark, _ = strings.Cut(text, "# ")
		}
		message, refused := wrong[at.String()]
		seen[at.String()] = true
		words, _, _ := strings.Cut(row.Error, ":")
		switch shape := row.shape(); {
		case strings.HasSuffix(row.Error, "not supported by this build"): // pgherd may support it
		case row.Error != "" && !refused:
			o.t.Errorf("%v %s: pgherd reads %q, PostgreSQL has the error %q", at, text, ours[at.String()], row.Error)
		case row.Error != "" && mark != "own words" && !strings.HasPrefix(message, words):
			o.t.Errorf("%v %s: got error %q, PostgreSQL has %q", at, text, message, row.Error)
		case row.Error != "":
		case mark == "not here" && refused:
		case refused || mark == "not here":
			o.t.Errorf("%v %s: got error %q, PostgreSQL has none", at, text, message)
		case !slices.Contains(ours[at.String()], shape):
			o.t.Errorf("%v %s: pgherd reads %q, PostgreSQL reads %q", at, text, ours[at.String()], shape)
		}
	}
	if len(rows) < 10 {
		o.t.Errorf("PostgreSQL has only %d lines: %v", len(rows), rows)
	}
	for at := range ours {
		if !seen[at] {
			o.t.Errorf("%s: only pgherd reads %q", at, ours[at])
		}
	}
	for at := range wrong {
		if !seen[at] {
			o.t.Errorf("%s: only pgherd has the error %s", at, wrong[at])
		}
	}
}

// shape is what PostgreSQL and pgherd must agree on.
func (row *serverLine) shape() string {
	if row.Map != "" {
		return strings.Join([]string{row.Map, row.System, row.User}, " | ")
	}
	kind := row.Type
	if kind == "hostnogssenc" {
		kind = "host"
	}
	return strings.Join([]string{kind, strings.Join(row.DB, "+"), strings.Join(row.Users, "+"), row.Address, row.Netmask, row.Method}, " | ")
}

func (r *Rule) shape() string {
	kind, address, mask := "", "", ""
	for name, k := range connections {
		if k == r.kind && name != "hostnogssenc" {
			kind = name
		}
	}
	for word, k := range addressWords {
		if r.kind != local && r.from.kind == k {
			address = word
		}
	}
	switch {
	case r.kind == local:
	case r.from.kind == named:
		address = r.from.name
	case r.from.kind == network:
		address, mask = r.from.net.String(), r.from.mask.String()
	}
	texts := func(names []token) string {
		var list []string
		for _, t := range names {
			list = append(list, t.text)
		}
		return strings.Join(list, "+")
	}
	return strings.Join([]string{kind, texts(r.databases), texts(r.users), address, mask, r.Method}, " | ")
}
