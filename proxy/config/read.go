package config

import (
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"
)

// Limits of what is read, so that a wrong file is an error and not an endless start (I5).
const (
	MaxFileSize     = 1 << 20 // bytes of one file
	MaxLineLength   = 1 << 16 // bytes of one line
	MaxIncludeDepth = 10      // files including files
	MaxFiles        = 64      // files read in all
	MaxProblems     = 100     // errors reported; the rest are counted
)

// Open opens a file by its path; os.Open outside of tests.
type Open func(path string) (io.ReadCloser, error)

// Problem is one thing wrong with a configuration, as an error or as a warning.
// Line is 0 where no line is to blame.
type Problem struct {
	File string
	Line int
	Text string
}

// Warning is something to tell the user that does not keep the server from starting.
type Warning = Problem

func (p Problem) Error() string {
	if p.Line == 0 {
		return p.File + ": " + p.Text
	}
	return fmt.Sprintf("%s:%d: %s", p.File, p.Line, p.Text)
}

// problems collects different errors up to MaxProblems.
type problems struct {
	list []error
	more int
}

func (ps *problems) add(file string, line int, text string) {
	p := Problem{file, line, text}
	switch {
	case slices.Contains(ps.list, error(p)): // a file included twice
	case len(ps.list) == MaxProblems:
		ps.more++
	default:
		ps.list = append(ps.list, p)
	}
}

func (ps *problems) err() error {
	if ps.more > 0 {
		return errors.Join(append(ps.list, fmt.Errorf("and %d more errors", ps.more))...)
	}
	return errors.Join(ps.list...)
}

// warnings are the problems, if nothing more came of them.
func (ps *problems) warnings(file string) []Warning {
	var list []Warning
	for _, err := range ps.list {
		p, _ := errors.AsType[Problem](err)
		list = append(list, p)
	}
	if ps.more > 0 {
		list = append(list, Warning{File: file, Text: fmt.Sprintf("and %d more warnings", ps.more)})
	}
	return list
}

// assignment is one "name = value" line.
type assignment struct {
	name, value string
	file        string
	line        int
	old         string // what an older version has in place of name
}

// reader collects the assignments of a file and of what it includes, in order.
type reader struct {
	open     Open
	files    int
	found    []assignment
	problems *problems
}

// file reads one file; from and line say which line asked for it.
func (r *reader) file(name, from string, line, depth int) {
	text, err := r.load(name, depth)
	if err != nil && depth == 0 {
		r.problems.add(name, 0, err.Error())
		return
	}
	if err != nil {
		r.problems.add(from, line, "read "+name+": "+err.Error())
		return
	}
	number := 0
	for s := range strings.Lines(strings.TrimPrefix(text, "\ufeff")) {
		number++
		r.line(name, number, depth, s)
	}
}

func (r *reader) load(name string, depth int) (string, error) {
	if r.files++; r.files > MaxFiles {
		return "", fmt.Errorf("more than %d files included", MaxFiles)
	}
	if depth > MaxIncludeDepth {
		return "", fmt.Errorf("included more than %d deep; does a file include itself?", MaxIncludeDepth)
	}
	f, err := r.open(name)
	if err != nil {
		return "", cause(err)
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, MaxFileSize+1))
	if err != nil {
		return "", cause(err)
	}
	if len(text) > MaxFileSize {
		return "", fmt.Errorf("larger than %d bytes", MaxFileSize)
	}
	return string(text), nil
}

// cause drops the "open PATH:" that the os package puts first: the path is in the message already.
func cause(err error) error {
	for inner := err; inner != nil; inner = errors.Unwrap(inner) {
		err = inner
	}
	return err
}

func (r *reader) line(file string, number, depth int, s string) {
	if len(s) > MaxLineLength {
		r.problems.add(file, number, fmt.Sprintf("line longer than %d bytes", MaxLineLength))
		return
	}
	name, value, err := parseLine(s)
	switch {
	case err != nil:
		r.problems.add(file, number, err.Error())
		if name != "" {
			r.found = append(r.found, assignment{name: name, file: file}) // line 0: named, but unusable
		}
	case name == "":
	case strings.EqualFold(name, "include"):
		r.file(relativeTo(filepath.Dir(file), value), file, number, depth+1)
	default:
		r.found = append(r.found, assignment{name: name, value: value, file: file, line: number})
	}
}

// relativeTo makes a path absolute to the folder it is written relative to.
func relativeTo(folder, path string) string {
	if path == "" || filepath.IsAbs(path) {
		return path
	}
	return filepath.Join(folder, path)
}
