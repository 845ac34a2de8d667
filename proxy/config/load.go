package config

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// Load reads the configuration file at path. The error joins every Problem found. Then the Config, if
// there is one, has defaults in place of what is wrong, so that more of it can be checked.
func Load(path string, cl CommandLine) (*Config, []Warning, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return nil, nil, err
	}
	return Parse(openFile, path, cl)
}

func openFile(path string) (io.ReadCloser, error) { return os.Open(path) }

// Parse is Load with the way to open files passed in. path is absolute.
func Parse(open Open, path string, cl CommandLine) (*Config, []Warning, error) {
	ps, notes := &problems{}, &problems{}
	s := read(open, path, cl, ps, notes)
	if len(s.set) == 0 && len(ps.list) > 0 {
		return nil, nil, ps.err() // there is no file to name
	}
	c := build(path, s)
	if c.Watchdog.Use {
		var err error
		c.Watchdog.Self, err = ownNumber(open, filepath.Join(filepath.Dir(path), nodeIDFile))
		if err != nil {
			ps.add(c.File, 0, err.Error())
		}
	}
	for _, check := range checks {
		check.run(c, ps)
	}
	return c, append(notes.warnings(path), warnings(c)...), ps.err()
}

// PidFile returns the pid_file_name of a configuration that may have errors elsewhere, so that a
// server can be stopped whatever has happened to its configuration since.
func PidFile(path string, cl CommandLine) (string, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return "", err
	}
	if _, err := os.Stat(path); err != nil {
		return "", err
	}
	return build(path, read(openFile, path, cl, &problems{}, &problems{})).Files.Pid, nil
}

// read collects the lines that are given; notes are about names and words of older
// versions.
func read(open Open, path string, cl CommandLine, ps, notes *problems) *settings {
	r := &reader{open: open, problems: ps}
	r.file(path, path, 0, 0)
	s := &settings{set: map[key]entry{}, bad: map[*Param]bool{}, cl: cl}
	for _, a := range modernize(r.found, ps, notes) {
		s.assign(a, ps, notes)
	}
	s.emptyHosts(r.found, notes)
	if len(r.found) == 0 && len(ps.list) > 0 {
		s.bad[byName["backend_hostname"]] = true // the file that cannot be read is error enough
	}
	return s
}

// warnings lists names without effect, once, and node settings without a node.
func warnings(c *Config) []Warning {
	var list []Warning
	if names := c.settings().names(func(k key) bool { return !k.param.InEffect() && !isFormer(k.param.nameAt(k.index)) }); len(names) > 0 {
		list = append(list, Warning{File: c.File, Text: "accepted, but not in effect in this version: " + strings.Join(names, ", ")})
	}
	orphan := func(k key) bool {
		return k.param.IntoNode != nil && k.index != noIndex && !c.settings().given("backend_hostname", k.index)
	}
	if names := c.settings().names(orphan); len(names) > 0 {
		list = append(list, Warning{File: c.File, Text: "no backend_hostname with that number, ignored: " + strings.Join(names, ", ")})
	}
	return append(list, sameNodes(c)...)
}

// sameNodes finds nodes that are one server, which works but is seldom intended.
func sameNodes(c *Config) []Warning {
	var list []Warning
	seen := map[string]int{}
	for _, n := range c.Nodes {
		_, address := n.Address()
		if other, ok := seen[address]; ok {
			list = append(list, Warning{File: c.File, Text: fmt.Sprintf("nodes %d and %d have the same address %s", other, n.Index, address)})
		}
		seen[address] = n.Index
	}
	return list
}

// names lists the given names that match, sorted.
func (s *settings) names(match func(key) bool) []string {
	var list []string
	for k := range s.set {
		if match(k) {
			list = append(list, k.param.nameAt(k.index))
		}
	}
	slices.Sort(list)
	return list
}
