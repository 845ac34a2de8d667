package firsthour

import (
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"pgherd/bench/herd/herdtest"
	"pgherd/proxy/config"
)

// TestWrongValues gives every parameter each kind of wrong value that its row of the table allows. check-config, a start,
// a reload and the running server must report the same error, with its line.
func TestWrongValues(t *testing.T) {
	d := bareDesk(t)
	rounds := wrongFiles(t)
	said := make([]string, len(rounds))
	for i, wrong := range rounds {
		d.write("pgherd.conf", wrong.lines())
		said[i] = d.says("pgherd check-config pgherd.conf")
		for name, number := range wrong.numbers() {
			if at := fmt.Sprintf("DIR/pgherd.conf:%d: %s: ", number, name); !strings.Contains(said[i], at) {
				t.Errorf("no error is reported for %s%s", at, wrong.values[name])
			}
		}
		if start := d.says("pgherd -f pgherd.conf"); start != said[i] {
			t.Errorf("a start reports\n%s, but check-config\n%s", start, said[i])
		}
	}
	d.write("pgherd.conf", rightLines)
	if err := d.runs("pgherd -n=false -f pgherd.conf 2> pgherd.log"); err != nil {
		t.Fatal(err)
	}
	for i, wrong := range rounds {
		d.write("pgherd.conf", wrong.lines())
		if reload := d.says("pgherd reload -f pgherd.conf"); reload != said[i] {
			t.Errorf("a reload reports\n%s, but check-config\n%s", reload, said[i])
		}
		if server := d.hangsUp(); server != said[i] {
			t.Errorf("the server reports\n%s, but check-config\n%s", server, said[i])
		}
	}
	d.write("pgherd.conf", rightLines)
	if err := d.runs("pgherd reload -f pgherd.conf"); err != nil {
		t.Error(err)
	}
}

// rightLines are the lines that are not wrong.
const rightLines = `backend_hostname0 = 'localhost'
listen_addresses = ''
unix_socket_directories = '.'
pid_file_name = 'pgherd.pid'
`

// wrongFile is a configuration in which all values are wrong, except the lines before them.
type wrongFile struct {
	before string
	values map[string]string // by the parameters' names
}

func (w wrongFile) lines() string {
	text := w.before
	for _, name := range slices.Sorted(maps.Keys(w.values)) {
		text += fmt.Sprintf("%s = '%s'\n", name, w.values[name])
	}
	return text
}

// numbers are the numbers of the lines.
func (w wrongFile) numbers() map[string]int {
	numbers := map[string]int{}
	for i, name := range slices.Sorted(maps.Keys(w.values)) {
		numbers[name] = strings.Count(w.before, "\n") + i + 1
	}
	return numbers
}

// wrongFiles are configurations that together have every wrong value of every parameter. None has more errors than are
// reported at once. Two more name files that do not exist, one of them with another error.
func wrongFiles(t *testing.T) (all []wrongFile) {
	missing := wrongFile{rightLines + "ssl = on\nserver_tls_sslmode = verify-full\n", map[string]string{"enable_pool_hba": "on"}}
	for _, p := range config.Params() {
		name, values := p.Name, wrongValues(p)
		if p.Indexed() {
			name += "0"
		}
		for _, value := range values {
			place := slices.IndexFunc(all, func(f wrongFile) bool { return f.values[name] == "" && len(f.values) < config.MaxProblems })
			if place < 0 {
				place, all = len(all), append(all, wrongFile{rightLines, map[string]string{}})
			}
			all[place].values[name] = value
		}
		if p.Path && p.InEffect() && !slices.Contains(mayBeMissing, p.Name) {
			missing.values[name] = "/nonexistent/" + p.Name
		} else if len(values) == 0 && p.Kind != config.String && p.Kind != config.List {
			t.Errorf("the parameter %s has no known wrong value", p.Name)
		}
	}
	if len(all) < 4 || len(missing.values) < 8 {
		t.Fatalf("there are %d files, with %d parameters in the last one", len(all), len(missing.values))
	}
	mixed := wrongFile{missing.before, maps.Clone(missing.values)}
	mixed.values["pool_mode"] = "nosuchword"
	return append(all, missing, mixed)
}

// mayBeMissing are the files and folders without which pgherd starts: without them no user has a password, and nothing is
// kept in the folders yet.
var mayBeMissing = []string{"pool_passwd", "work_dir", "wd_data_directory"}

// wrongValues are values that this parameter cannot have.
func wrongValues(p *config.Param) (all []string) {
	switch p.Kind {
	case config.Bool, config.Enum:
		return []string{"nosuchword", "1.5"}
	case config.Integer:
		all = []string{"many", "1 parsec", "99999999999999999999", "1.2.3"}
		fallthrough
	case config.Real:
		all = append(all, "many", fmt.Sprint(p.Min-1))
		if p.Max < math.MaxInt32 {
			all = append(all, fmt.Sprint(p.Max+1))
		}
	case config.List:
		for _, entry := range []string{"nosuchword", "(", "a:b:c", "a:nosuchmode"} {
			if len(p.Options) > 0 || p.Item != nil && p.Item(entry) != nil {
				all = append(all, entry)
			}
		}
	}
	return all
}

// says returns the errors that a failing command prints, without its name and the time.
func (d *desk) says(command string) string {
	d.Helper()
	out, status := d.run(command)
	if status != 1 {
		d.Errorf("%s: status %d", command, status)
	}
	said := ""
	for line := range strings.Lines(d.plain.Replace(steady(out))) {
		if line = speaker.ReplaceAllString(line, ""); !strings.HasPrefix(line, "warning: ") {
			said += line
		}
	}
	return said
}

var speaker = regexp.MustCompile(`^(pgherd: |TIME: main pid PID: FATAL:  )`)

// hangsUp makes the server reload by a signal, and returns the errors that it logs.
func (d *desk) hangsUp() string {
	before := d.read("pgherd.pid.reload")
	if err := d.runs("kill -HUP $(cat pgherd.pid)"); err != nil {
		d.Error(err)
	}
	var now struct{ Errors []string }
	herdtest.Eventually(d.T, "the server logs the result of a reload", func() error {
		text := d.read("pgherd.pid.reload")
		if text == before {
			return os.ErrDeadlineExceeded
		}
		return json.Unmarshal([]byte(text), &now)
	})
	return d.plain.Replace(strings.Join(now.Errors, "\n") + "\n")
}
