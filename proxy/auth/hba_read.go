package auth

import (
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"os"
	"path/filepath"
	"strings"
)

// Limits of pool_hba.conf, of a file of user name maps, and of the files that these
// name.
const (
	maxHBABytes  = 64 << 20 // for each file, and for all before the last; one that is named twice counts twice
	leastBytes   = 4 << 10  // the least that each file counts, so that there cannot be too many
	includeDepth = 10       // PostgreSQL's
)

// source provides the files.
type source struct {
	read func(path string) (string, error)
	list func(folder string) (names []string, err error) // of files, in order
}

// disk is the source, except in tests.
var disk = source{
	read: func(path string) (string, error) { return readLimited(path, maxHBABytes) },
	list: filesIn,
}

// filesIn are the names in a folder that are not themselves folders.
func filesIn(folder string) (names []string, err error) {
	entries, err := os.ReadDir(folder)
	if err != nil {
		return nil, err
	}
	for _, e := range entries {
		info, err := os.Stat(filepath.Join(folder, e.Name()))
		if err != nil {
			return nil, err
		}
		if !info.IsDir() {
			names = append(names, e.Name())
		}
	}
	return names, nil
}

// place is a file and a line in it.
type place struct {
	file string
	line int
}

func (p place) String() string { return fmt.Sprintf("%s:%d", p.file, p.line) }

// LineError is an error in a line, and where that is.
type LineError struct {
	place
	err error
}

func (e *LineError) Error() string { return e.place.String() + ": " + e.err.Error() }
func (e *LineError) Unwrap() error { return e.err }

// wrong is err with its place in front of it.
func (p place) wrong(err error) error { return &LineError{p, err} }

// line is a line with its continuations, or the error in it.
type line struct {
	place
	fields [][]token // each field has at least one token
	open   bool      // a quote is not closed
	err    error
}

// wrong is err with the line's place, and with a possible reason.
func (l *line) wrong(err error) error {
	if l.open {
		err = fmt.Errorf("%w (a quote is not closed)", err)
	}
	return l.place.wrong(err)
}

// reader cuts a file into lines, with those of the files that it includes in their
// places.
type reader struct {
	source
	bytes int // read so far
}

// eachLine hands the lines of a file to parse. It returns all errors together, in the
// order of the lines.
func (r *reader) eachLine(path string, parse func(l *line) error) error {
	lines, err := r.file(path, 0)
	if err != nil {
		return err
	}
	var errs []error
	for i := range lines {
		l := &lines[i]
		err := l.err
		if err == nil {
			err = parse(l)
		}
		if err != nil {
			errs = append(errs, l.wrong(err))
		}
	}
	return errors.Join(errs...)
}

// file reads a file. depth is how many files have named one another before it.
func (r *reader) file(path string, depth int) (all []line, err error) {
	if depth > includeDepth {
		return nil, fmt.Errorf("could not open file %q: maximum nesting depth exceeded: files name each other more than %d deep", path, includeDepth)
	}
	if r.bytes >= maxHBABytes {
		return nil, fmt.Errorf("could not read file %q: all files before it are longer than %d bytes", path, maxHBABytes)
	}
	text, err := r.read(path)
	if err != nil {
		return nil, fmt.Errorf("could not open file %q: %w", path, bare(err))
	}
	r.bytes += max(len(text), leastBytes)
	for number, text := range joined(text) {
		all = append(all, r.line(place{path, number}, text, depth)...)
	}
	return all, nil
}

// bare is an error without the path, because the message has it already.
func bare(err error) error {
	if e, ok := errors.AsType[*fs.PathError](err); ok {
		return e.Err
	}
	return err
}

// joined yields the lines of a text, those that a backslash at the end joins as one,
// with the number of the first.
func joined(text string) iter.Seq2[int, string] {
	return func(yield func(int, string) bool) {
		number, begins, before := 0, 1, ""
		for line := range strings.Lines(text) {
			number++
			head, goesOn := strings.CutSuffix(strings.TrimRight(line, "\r\n"), `\`)
			before += head
			if goesOn {
				continue
			}
			if !yield(begins, before) {
				return
			}
			begins, before = number+1, ""
		}
		if before != "" { // nothing follows the last backslash
			yield(begins, before)
		}
	}
}

// line cuts one line, or yields those of the files that it includes instead.
func (r *reader) line(at place, text string, depth int) []line {
	l := line{place: at}
	list, open := fields(text)
	l.open = open
	for _, field := range list {
		words, err := r.expand(at, field, depth)
		if err != nil {
			l.err = err
			return []line{l}
		}
		if len(words) > 0 { // as in PostgreSQL, an empty @file is no field
			l.fields = append(l.fields, words)
		}
	}
	switch {
	case len(l.fields) == 0:
		return nil
	case len(l.fields) != 2 || includes[l.fields[0][0].text] == nil:
		return []line{l}
	}
	all, err := includes[l.fields[0][0].text](r, at, l.fields[1][0].text, depth+1)
	if err != nil {
		l.err = err
		all = append(all, l)
	}
	return all
}

// includes are the directives that are replaced by other files.
var includes map[string]func(r *reader, at place, name string, depth int) ([]line, error)

func init() { // they read lines, which may be such directives
	includes = map[string]func(*reader, place, string, int) ([]line, error){
		"include":           (*reader).include,
		"include_if_exists": (*reader).includeIfExists,
		"include_dir":       (*reader).includeFolder,
	}
}

func (r *reader) include(at place, name string, depth int) ([]line, error) {
	return r.file(at.beside(name), depth)
}

func (r *reader) includeIfExists(at place, name string, depth int) ([]line, error) {
	all, err := r.include(at, name, depth)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return all, err
}

// includeFolder includes the files in a folder whose names end in .conf and do
// not begin with a dot.
func (r *reader) includeFolder(at place, name string, depth int) (all []line, err error) {
	if strings.Trim(name, blanks) == "" {
		return nil, errors.New("empty configuration directory name")
	}
	folder := at.beside(name)
	names, err := r.list(folder)
	if err != nil {
		return nil, fmt.Errorf("could not open directory %q: %w", folder, bare(err))
	}
	for _, n := range names {
		if !strings.HasSuffix(n, ".conf") || strings.HasPrefix(n, ".") {
			continue
		}
		lines, err := r.file(filepath.Join(folder, n), depth)
		if err != nil {
			lines = []line{{place: at, err: err}}
		}
		all = append(all, lines...)
	}
	return all, nil
}

// beside is the path of a file that is named at a place.
func (p place) beside(name string) string {
	if filepath.IsAbs(name) {
		return filepath.Clean(name)
	}
	return filepath.Join(filepath.Dir(p.file), name)
}

// expand replaces @file by the words of the file.
func (r *reader) expand(at place, list []token, depth int) (out []token, err error) {
	for _, t := range list {
		name, is := t.file()
		if !is {
			out = append(out, t)
			continue
		}
		lines, err := r.file(at.beside(name), depth+1)
		if err != nil {
			return nil, err
		}
		for i := range lines {
			if lines[i].err != nil {
				return nil, lines[i].place.wrong(lines[i].err)
			}
			for _, field := range lines[i].fields {
				out = append(out, field...)
			}
		}
	}
	return out, nil
}
