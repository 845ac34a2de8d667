// Package generated compiles our BPF programs anew, and wants what is committed. It needs clang-14.
//
// The Go files have to be the same. Of the objects the maps and the instructions are compared, not
// the bytes: what is in them for debuggers differs between minor releases of the compiler and with
// the folder in which it runs.
package generated

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
)

const (
	directive    = "//go:generate go tool bpf2go "
	compileLimit = 5 * time.Minute // bpf2go itself is compiled too
)

// directives are the commands that make our programs, by the folder.
func directives(t *testing.T) map[string]string {
	t.Helper()
	files, err := filepath.Glob("../*/*.go")
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]string{}
	for _, name := range files {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(text)) {
			if arguments, ok := strings.CutPrefix(line, directive); ok {
				found[filepath.Dir(name)] = strings.TrimSpace(arguments)
			}
		}
	}
	return found
}

// TestProgramsAreThoseOfTheirSource compiles each program.
func TestProgramsAreThoseOfTheirSource(t *testing.T) {
	all := directives(t)
	if len(all) == 0 {
		t.Fatal("no program is found")
	}
	for folder, arguments := range all {
		t.Run(filepath.Base(folder), func(t *testing.T) {
			fresh := t.TempDir()
			ctx, cancel := context.WithTimeout(t.Context(), compileLimit)
			defer cancel()
			compile := exec.CommandContext(ctx, "go", append([]string{"tool", "bpf2go", "-output-dir", fresh}, strings.Fields(arguments)...)...)
			compile.Dir = folder
			if out, err := compile.CombinedOutput(); err != nil {
				t.Fatalf("%v: %s", err, out)
			}
			made, err := os.ReadDir(fresh)
			if err != nil || len(made) < 2 {
				t.Fatalf("made %v, %v", made, err)
			}
			for _, file := range made {
				if difference := compare(t, filepath.Join(folder, file.Name()), filepath.Join(fresh, file.Name())); difference != "" {
					t.Errorf("%s is not what its source makes: %s; run make generate", file.Name(), difference)
				}
			}
		})
	}
}

// compare says how two files differ; "": they do not.
func compare(t *testing.T, committed, fresh string) string {
	t.Helper()
	if filepath.Ext(fresh) == ".o" {
		return difference(load(t, committed), load(t, fresh))
	}
	a, err := os.ReadFile(committed)
	if err != nil {
		return err.Error()
	}
	b, err := os.ReadFile(fresh)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(a, b) {
		return "its text differs"
	}
	return ""
}

func load(t *testing.T, name string) *ebpf.CollectionSpec {
	t.Helper()
	spec, err := ebpf.LoadCollectionSpec(name)
	if err != nil {
		t.Fatal(err)
	}
	return spec
}

func difference(a, b *ebpf.CollectionSpec) string {
	if x, y := mapsOf(a), mapsOf(b); !slices.Equal(x, y) {
		return fmt.Sprintf("maps %q, want %q", x, y)
	}
	if x, y := programsOf(a), programsOf(b); !slices.Equal(x, y) {
		return fmt.Sprintf("programs:\n%s\nwant:\n%s", strings.Join(x, "\n"), strings.Join(y, "\n"))
	}
	return ""
}

func mapsOf(spec *ebpf.CollectionSpec) (all []string) {
	for name, m := range spec.Maps {
		all = append(all, fmt.Sprint(name, m.Type, m.KeySize, m.ValueSize, m.MaxEntries, m.Flags))
	}
	slices.Sort(all)
	return all
}

// programsOf are the instructions, without what is in them for debuggers.
func programsOf(spec *ebpf.CollectionSpec) (all []string) {
	for name, p := range spec.Programs {
		text := fmt.Sprint(name, p.Type, p.AttachType, p.License)
		for _, i := range p.Instructions {
			text += "\n" + written(i)
		}
		all = append(all, text)
	}
	slices.Sort(all)
	return all
}

func written(i asm.Instruction) string {
	return fmt.Sprintf("%v dst=%v src=%v offset=%d constant=%d to=%q", i.OpCode, i.Dst, i.Src, i.Offset, i.Constant, i.Reference())
}

// TestDifferencesAreFound in a map and in one instruction.
func TestDifferencesAreFound(t *testing.T) {
	const object = "../observe/observe_bpfel.o"
	whole, changed := load(t, object), load(t, object)
	if text := difference(whole, changed); text != "" {
		t.Errorf("it differs from itself: %s", text)
	}
	changed.Programs["observe"].Instructions[0].Constant++
	if difference(whole, changed) == "" {
		t.Error("another instruction is not found")
	}
	changed = load(t, object)
	changed.Maps["clients"].MaxEntries++
	if difference(whole, changed) == "" {
		t.Error("another map is not found")
	}
}
