package kernels

import (
	"bytes"
	"debug/elf"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// wanted are the modules that tests need. A kernel may have one of them built in.
var wanted = []string{"veth", "bridge", "sch_ingress", "cls_bpf", "tcp_diag", "tun"}

// modules are those of one kernel that are files.
type modules struct {
	folder string
	files  map[string]string // by name
	order  []string          // in which they are loaded
	loaded map[string][]byte
}

// findModules looks into a folder that a package has been unpacked to.
func findModules(root string) (*modules, error) {
	m := &modules{folder: filepath.Join(root, "lib/modules"), files: map[string]string{}, loaded: map[string][]byte{}}
	err := filepath.WalkDir(m.folder, func(path string, d fs.DirEntry, err error) error {
		if name, suffix, ok := strings.Cut(filepath.Base(path), ".ko"); ok && (suffix == "" || suffix == ".xz") {
			m.files[strings.ReplaceAll(name, "-", "_")] = path
		}
		return err
	})
	return m, err
}

// need puts a module into the order, behind those that it depends on.
func (m *modules) need(name string) error {
	path, ok := m.files[name]
	if _, done := m.loaded[name]; done || !ok { // not there: it is built in, or a test tells
		return nil
	}
	content, err := readModule(path)
	if err != nil {
		return err
	}
	m.loaded[name] = content
	below, err := dependencies(content)
	if err != nil {
		return fmt.Errorf("read module %s: %w", name, err)
	}
	for _, b := range below {
		if err := m.need(b); err != nil {
			return err
		}
	}
	m.order = append(m.order, name)
	return nil
}

func readModule(path string) ([]byte, error) {
	if !strings.HasSuffix(path, ".xz") {
		return os.ReadFile(path)
	}
	content, err := exec.Command("xz", "-dc", path).Output()
	if err != nil {
		return nil, fmt.Errorf("decompress %s: %w", path, err)
	}
	return content, nil
}

// dependencies are named in a module's own section of words.
func dependencies(module []byte) ([]string, error) {
	file, err := elf.NewFile(bytes.NewReader(module))
	if err != nil {
		return nil, err
	}
	section := file.Section(".modinfo")
	if section == nil {
		return nil, errors.New("it has no .modinfo")
	}
	words, err := section.Data()
	if err != nil {
		return nil, err
	}
	return dependenciesIn(words), nil
}

func dependenciesIn(words []byte) (all []string) {
	for word := range bytes.SplitSeq(words, []byte{0}) {
		if list, ok := strings.CutPrefix(string(word), "depends="); ok && list != "" {
			all = append(all, strings.Split(strings.ReplaceAll(list, "-", "_"), ",")...)
		}
	}
	return all
}

// addTo puts the modules that tests need into an archive.
func (m *modules) addTo(a *archive) error {
	for _, name := range wanted {
		if err := m.need(name); err != nil {
			return err
		}
	}
	for _, name := range m.order {
		a.file("modules/"+name, m.loaded[name])
	}
	a.file("modules/list", []byte(strings.Join(m.order, "\n")))
	return nil
}

func TestDependencies(t *testing.T) {
	for words, want := range map[string][]string{
		"license=GPL\x00depends=\x00name=veth\x00":          nil,
		"depends=stp,llc\x00retpoline=Y\x00name=bridge":     {"stp", "llc"},
		"alias=x\x00depends=inet-diag\x00name=tcp_diag\x00": {"inet_diag"},
	} {
		if got := dependenciesIn([]byte(words)); !slices.Equal(got, want) {
			t.Errorf("%q: %q, want %q", words, got, want)
		}
	}
}
