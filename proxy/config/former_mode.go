package config

import (
	"errors"
	"strings"
)

// formerMode is a way in which backend_clustering_mode was set before Pgpool-II 4.2.
type formerMode struct {
	lines []assignment
	last  map[string]assignment // by name in small letters
}

func (f *formerMode) add(a assignment) {
	if f.last == nil {
		f.last = map[string]assignment{}
	}
	f.lines = append(f.lines, a)
	f.last[strings.ToLower(a.name)] = a
}

// subModes are the words of master_slave_sub_mode. Its default is stream since 3.7.
var subModes = map[string]string{"": streamingMode, "stream": streamingMode, "slony": "slony", "logical": "logical_replication"}

// today is the line with the present name, of value "" if no line sets the mode; or the line with
// an error.
func (f *formerMode) today() (assignment, error) {
	on := map[string]bool{}
	for _, name := range []string{"parallel_mode", "replication_mode", "master_slave_mode"} {
		a, given := f.last[name]
		v, err := (&Param{Kind: Bool}).parse(a.value)
		if given && err != nil {
			return a, errors.New(name + ": " + err.Error())
		}
		on[name] = v.on
	}
	parallel, replication, main := f.last["parallel_mode"], f.last["replication_mode"], f.last["master_slave_mode"]
	switch {
	case on["parallel_mode"]:
		return parallel, errors.New("parallel_mode on is not supported: give every node all rows, and remove it")
	case on["replication_mode"]:
		return instead(replication, "native_replication", "replication_mode on"), nil
	case on["master_slave_mode"]:
		return f.bySubMode(main)
	case main.line != 0:
		return instead(main, "raw", "master_slave_mode off"), nil
	}
	return assignment{}, nil
}

func (f *formerMode) bySubMode(by assignment) (assignment, error) {
	sub, given := f.last["master_slave_sub_mode"]
	mode, ok := subModes[strings.ToLower(sub.value)]
	switch {
	case !ok:
		return sub, errors.New("master_slave_sub_mode: value " + excerpt(sub.value) + " is not accepted; accepted: stream, slony, logical")
	case !given:
		return instead(by, mode, "master_slave_mode on"), nil
	}
	return instead(sub, mode, "master_slave_sub_mode "+sub.value), nil
}

// instead is the present line in place of an old one.
func instead(a assignment, mode, words string) assignment {
	return assignment{name: clusteringMode, value: mode, file: a.file, line: a.line, old: words}
}
