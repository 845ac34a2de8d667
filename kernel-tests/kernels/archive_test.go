package kernels

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// archive is a root file system as the kernel unpacks it at its start: cpio in the format "newc", of
// which Documentation/driver-api/early-userspace/buffer-format.rst has the description.
type archive struct {
	bytes.Buffer
	inodes  int
	folders map[string]bool
}

const (
	isFile   = 0o100000
	isFolder = 0o040000
	isDevice = 0o020000 // of characters
	trailer  = "TRAILER!!!"
)

func newArchive() *archive {
	a := &archive{folders: map[string]bool{}}
	a.folder("dev")
	a.entry("dev/console", isDevice|0o600, 5, 1, nil)
	return a
}

// entry adds one. A path has no slash at its beginning.
func (a *archive) entry(path string, mode, major, minor int, content []byte) {
	a.inodes++
	fmt.Fprint(a, "070701")
	const owner, group, links, time, onMajor, onMinor, check = 0, 0, 1, 0, 0, 0, 0
	for _, field := range []int{a.inodes, mode, owner, group, links, time, len(content), onMajor, onMinor, major, minor, len(path) + 1, check} {
		fmt.Fprintf(a, "%08X", field)
	}
	a.WriteString(path + "\x00")
	a.align()
	a.Write(content)
	a.align()
}

func (a *archive) align() {
	for a.Len()%4 != 0 {
		a.WriteByte(0)
	}
}

// folder adds one, and those above it.
func (a *archive) folder(path string) {
	if path == "." || a.folders[path] {
		return
	}
	a.folder(filepath.Dir(path))
	a.folders[path] = true
	a.entry(path, isFolder|0o755, 0, 0, nil)
}

// file adds one that may be executed.
func (a *archive) file(path string, content []byte) {
	path = strings.TrimPrefix(path, "/")
	a.folder(filepath.Dir(path))
	a.entry(path, isFile|0o755, 0, 0, content)
}

// copyFile adds a file of this machine's.
func (a *archive) copyFile(path, from string) error {
	content, err := os.ReadFile(from)
	if err != nil {
		return fmt.Errorf("copy into archive: %w", err)
	}
	a.file(path, content)
	return nil
}

// end returns the whole.
func (a *archive) end() []byte {
	a.entry(trailer, 0, 0, 0, nil)
	return a.Bytes()
}

// TestArchive checks each byte of an archive with one file.
func TestArchive(t *testing.T) {
	a := &archive{folders: map[string]bool{}}
	a.file("/a/b", []byte("hello"))
	a.file("a/c", nil)
	const zeros = "00000000"
	header := func(inode, mode, size, name string) string {
		return "070701" + inode + mode + zeros + zeros + "00000001" + zeros + size + strings.Repeat(zeros, 4) + name + zeros
	}
	want := header("00000001", "000041ED", zeros, "00000002") + "a\x00" +
		header("00000002", "000081ED", "00000005", "00000004") + "a/b\x00\x00\x00" + "hello\x00\x00\x00" +
		header("00000003", "000081ED", zeros, "00000004") + "a/c\x00\x00\x00" +
		header("00000004", zeros, zeros, "0000000B") + trailer + "\x00\x00\x00\x00"
	if got := a.end(); !slices.Equal(got, []byte(want)) {
		t.Errorf("\n%q, want\n%q", got, want)
	}
}
