package auth

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// textFiles is a source of files that exist only in memory.
func textFiles(files map[string]string) source {
	return source{
		read: func(path string) (string, error) {
			text, found := files[path]
			if !found {
				return "", fs.ErrNotExist
			}
			return text, nil
		},
		list: func(folder string) (names []string, err error) {
			for path := range files {
				if filepath.Dir(path) == folder {
					names = append(names, filepath.Base(path))
				}
			}
			if names == nil {
				return nil, fs.ErrNotExist
			}
			slices.Sort(names)
			return names, nil
		},
	}
}

// TestIncludes checks which lines are read, in which order, and with the file and place of each.
func TestIncludes(t *testing.T) {
	files := map[string]string{
		"/etc/more.conf":        "local more all trust\n@names all\n", // @names is relative to /etc
		"/etc/names":            "local",
		"/etc/d/20.conf":        "local twenty all trust\n",
		"/etc/d/10.conf":        "include sub/deep.conf\nlocal ten all trust\n",
		"/etc/d/Z.conf":         "local zed all trust\n",
		"/etc/d/.hidden.conf":   "nonsense",
		"/etc/d/old.conf.orig":  "nonsense",
		"/etc/d/sub/deep.conf":  "\n\nlocal @names all trust\n",
		"/etc/d/sub/names":      "deep @sub/deeper", // relative to its own folder
		"/etc/d/sub/sub/deeper": "deepest",
		"/srv/abs.conf":         "local abs all trust",
		"/etc/loop.conf":        "local loop all trust\ninclude loop.conf",
		"/etc/long":             strings.Repeat("x", maxHBABytes/4),
	}
	for _, c := range []struct{ text, want string }{
		{"local a all trust\ninclude more.conf\nlocal b all trust", "/etc/hba:1 local a all trust; /etc/more.conf:1 local more all trust; " +
			"/etc/more.conf:2 local all; /etc/hba:3 local b all trust"},
		{"include_dir d", "/etc/d/sub/deep.conf:3 local deep,deepest all trust; /etc/d/10.conf:2 local ten all trust; " +
			"/etc/d/20.conf:1 local twenty all trust; /etc/d/Z.conf:1 local zed all trust"},
		{"include_if_exists none\nlocal a all trust", "/etc/hba:2 local a all trust"},
		{"include_if_exists more.conf", "/etc/more.conf:1 local more all trust; /etc/more.conf:2 local all"},
		{"include /srv/abs.conf", "/srv/abs.conf:1 local abs all trust"},
		{`"include" "/srv/abs.conf"`, "/srv/abs.conf:1 local abs all trust"},
		{"include \\\n /srv/abs.conf # comment", "/srv/abs.conf:1 local abs all trust"},
		{"include a b", "/etc/hba:1 include a b"}, // this is no directive
		{"include none", `/etc/hba:1: could not open file "/etc/none": file does not exist`},
		{"include_dir none", `/etc/hba:1: could not open directory "/etc/none": file does not exist`},
		{`include_dir " "`, "/etc/hba:1: empty configuration directory name"},
		{"include loop.conf", "local loop all trust; /etc/loop.conf:2: could not open file \"/etc/loop.conf\": maximum nesting depth exceeded"},
		{"local @long,@long,@long,@long,@long all trust", "/etc/hba:1: could not read file \"/etc/long\": all files before it are longer than 67108864 bytes"},
	} {
		files["/etc/hba"] = c.text
		r := &reader{source: textFiles(files)}
		lines, err := r.file("/etc/hba", 0)
		if err != nil {
			t.Errorf("%q: got error %v", c.text, err)
		}
		var got []string
		for i := range lines {
			got = append(got, tell(&lines[i]))
		}
		if text := strings.Join(got, "; "); text != c.want && !strings.Contains(text, c.want) {
			t.Errorf("%q:\ngot  %s\nwant %s", c.text, text, c.want)
		}
	}
}

// TestIncludesAreBounded checks that reading ends for files that include each other many times.
func TestIncludesAreBounded(t *testing.T) {
	read := 0
	all := source{read: func(string) (string, error) { read++; return strings.Repeat("include x\n", 20), nil }}
	r := &reader{source: all}
	lines, err := r.file("x", 0)
	if err != nil || read > maxHBABytes/leastBytes+1 || len(lines) > 20*read {
		t.Errorf("got %d lines of %d files, error %v", len(lines), read, err)
	}
}

func tell(l *line) string {
	if l.err != nil {
		return l.wrong(l.err).Error()
	}
	var list []string
	for _, field := range l.fields {
		var words []string
		for _, word := range field {
			words = append(words, word.text)
		}
		list = append(list, strings.Join(words, ","))
	}
	return fmt.Sprintf("%v %s", l.place, strings.Join(list, " "))
}

// TestEveryErrorIsTold checks that all errors of a file and of the files that it includes are
// reported, each in a line that begins with its place.
func TestEveryErrorIsTold(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{
		"hba":        "remote all all trust\nlocal all all trust\ninclude_dir d\nhost all all 10.0.0.1\nlocal @none all trust\n",
		"ident":      "a b\ninclude_dir d\na b,c d\n",
		"passwd":     "nobody\nalice:\n",
		"d/one.conf": "\nx\n", "d/sub.conf/ignored": "",
	} {
		path := filepath.Join(dir, name)
		os.MkdirAll(filepath.Dir(path), 0o755)
		write(t, path, text, 0o600)
	}
	_, hba := LoadHBA(filepath.Join(dir, "hba"))
	_, ident := LoadIdent(filepath.Join(dir, "ident"))
	_, passwd := LoadPasswd(filepath.Join(dir, "passwd"), "")
	got := strings.ReplaceAll(errors.Join(hba, ident, passwd).Error(), dir+"/", "")
	const want = `hba:1: invalid connection type "remote": want local, host, hostssl, hostnossl, hostgssenc or hostnogssenc
d/one.conf:2: invalid connection type "x": want local, host, hostssl, hostnossl, hostgssenc or hostnogssenc
hba:4: end-of-line before netmask specification (or write the address as ADDRESS/LENGTH)
hba:5: could not open file "none": no such file or directory
ident:1: missing entry at end of line: want map, system user, database user
d/one.conf:2: missing entry at end of line: want map, system user, database user
ident:3: multiple values in ident field: write one per line
passwd:1: want user:secret
passwd:2: the secret is missing`
	if got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}
