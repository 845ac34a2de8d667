package measure

import (
	"os/exec"
	"strings"
	"testing"
	"time"
)

// One child uses CPU and ends, another one goes on. Both count; for the proxy only the
// one that goes on counts.
func TestCountsTheLivingAndTheDead(t *testing.T) {
	burn := "i=0; while [ $i -lt 300000 ]; do i=$((i+1)); done"
	alive := exec.Command("sh", "-c", burn+"; echo done; exec sleep 60")
	out, err := alive.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	meter := New(0)
	if _, err := meter.Begin(); err != nil {
		t.Fatal(err)
	}
	if err := alive.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = alive.Process.Kill(); _ = alive.Wait() })
	if _, err := out.Read(make([]byte, 5)); err != nil {
		t.Fatal(err)
	}
	part, _, err := meter.End()
	if err != nil {
		t.Fatal(err)
	}
	if err := exec.Command("sh", "-c", burn).Run(); err != nil {
		t.Fatal(err)
	}
	whole, _, err := meter.End()
	if err != nil {
		t.Fatal(err)
	}
	if part.Whole < 5*time.Millisecond || whole.Whole < part.Whole+5*time.Millisecond {
		t.Errorf("the living one has spent %v, both %v", part.Whole, whole.Whole)
	}
	if part.Proxy != 0 {
		t.Errorf("no proxy has spent %v", part.Proxy)
	}
	of := New(alive.Process.Pid)
	if all, err := processes(); err != nil || spent(tree(all, alive.Process.Pid)) < 5*time.Millisecond {
		t.Errorf("the living one's own clock says too little, %v", err)
	}
	if kb, err := of.Resident(); err != nil || kb <= 0 {
		t.Errorf("it holds %d KB, %v", kb, err)
	}
	if kb, err := of.Peak(); err != nil || kb <= 0 {
		t.Errorf("it has held %d KB, %v", kb, err)
	}
}

// CI once saw a COPY that lay between two ticks of /proc/stat, so that the machine seemed to have spent nothing.
func TestTheMachineSpendsAtLeastWhatWeDo(t *testing.T) {
	begin := reading{cost: Cost{Whole: time.Second, Machine: 5 * time.Second}}
	for _, row := range []struct{ machine, want time.Duration }{
		{5 * time.Second, 30 * time.Millisecond},
		{5*time.Second + 20*time.Millisecond, 30 * time.Millisecond},
		{5*time.Second + 40*time.Millisecond, 40 * time.Millisecond},
	} {
		end := reading{cost: Cost{Whole: time.Second + 30*time.Millisecond, Machine: row.machine}}
		if got := between(begin, end).Machine; got != row.want {
			t.Errorf("from 5s to %v, and 30ms of our own: %v, want %v", row.machine, got, row.want)
		}
	}
}

func TestGoneProxyIsAnError(t *testing.T) {
	cmd := exec.Command("true")
	if err := cmd.Run(); err != nil {
		t.Fatal(err)
	}
	if _, err := New(cmd.Process.Pid).Begin(); err == nil {
		t.Error("a process that has ended was measured")
	}
}

func TestParseStat(t *testing.T) {
	p, err := parseStat([]byte("42 (a) b (c) S 7 42 42 0 -1 4194560 1 2 3 4 10 11 12 13 20 0 1 0 99"))
	want := process{pid: 42, parent: 7, name: "a) b (c", waited: 250 * time.Millisecond}
	if err != nil || p != want {
		t.Errorf("%+v, %v, want %+v", p, err, want)
	}
	for _, bad := range []string{"", "42", "42 (x) S 7", ") 42 ("} {
		if _, err := parseStat([]byte(bad)); err == nil {
			t.Errorf("%q was read", bad)
		}
	}
}

func TestTree(t *testing.T) {
	all := []process{{pid: 1, parent: 0}, {pid: 2, parent: 1}, {pid: 3, parent: 2}, {pid: 4, parent: 1}}
	if got := tree(all, 2); len(got) != 2 || got[0].pid != 2 || got[1].pid != 3 {
		t.Errorf("%+v", got)
	}
	if !includes(all, 4) || includes(all, 5) {
		t.Error("process 4 is there, 5 is not")
	}
}

// A shell reads lines, each with system calls of its own, and so does a child of it.
func TestCountsSystemCalls(t *testing.T) {
	if _, err := eventID(); err != nil {
		t.Skip(err)
	}
	loop := "for i in 1 2 3; do read line; done"
	shell := exec.Command("sh", "-c", "read line; "+loop+"; ("+loop+"); echo done; read line")
	in, err := shell.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := shell.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := shell.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = shell.Process.Kill(); _ = shell.Wait() })
	calls, err := CountCalls(shell.Process.Pid)
	if err != nil {
		t.Fatal(err)
	}
	const line = "0123456789\n" // the shell reads byte by byte, so that it does not read what a child is to read
	if _, err := in.Write([]byte(strings.Repeat(line, 7))); err != nil {
		t.Fatal(err)
	}
	if _, err := out.Read(make([]byte, 5)); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := calls.Close(); err != nil {
			t.Error(err)
		}
	})
	if n, err := calls.Count(); err != nil || n < 7*uint64(len(line)) || n > 1000 {
		t.Errorf("%d system calls, %v", n, err)
	}
}
