package kernels

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// machine is one that QEMU emulates, without KVM.
type machine struct {
	*exec.Cmd
	output  io.Reader // of init
	console string    // a file with what the kernel says
	monitor string    // a socket for orders
}

const (
	machineTime = 15 * time.Minute
	memory      = "1536M"
	processors  = "2"
)

// boot starts a kernel with an archive. The machine ends with the test, if not before.
func boot(t *testing.T, root string, initramfs []byte) *machine {
	t.Helper()
	kernels, _ := filepath.Glob(filepath.Join(root, "boot", "vmlinuz-*")) // no error: the pattern is right
	if len(kernels) != 1 {
		t.Fatalf("%s has %d kernels", root, len(kernels))
	}
	folder := t.TempDir()
	disk := filepath.Join(folder, "initramfs")
	m := &machine{console: filepath.Join(folder, "console"), monitor: filepath.Join(folder, "monitor")}
	if err := os.WriteFile(disk, initramfs, 0o600); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), machineTime)
	t.Cleanup(cancel)
	m.Cmd = exec.CommandContext(ctx, "qemu-system-x86_64", "-accel", "tcg,thread=multi", "-cpu", "max", "-smp", processors, "-m", memory,
		"-nodefaults", "-display", "none", "-no-reboot", "-kernel", kernels[0], "-initrd", disk,
		"-append", "console=ttyS0 panic=-1 oops=panic quiet", "-serial", "file:"+m.console, "-serial", "stdio",
		"-monitor", "unix:"+m.monitor+",server=on,wait=off")
	m.Stderr = os.Stderr
	out, err := m.StdoutPipe()
	if err == nil {
		err = m.Start()
	}
	if err != nil {
		t.Fatalf("start QEMU: %v", err)
	}
	t.Cleanup(func() { _ = m.Process.Kill(); _ = m.Wait() })
	m.output = out
	return m
}

// order gives the monitor one, and waits until it has been carried out: the monitor asks for the next one then.
func (m *machine) order(text string) error {
	c, err := net.Dial("unix", m.monitor)
	if err != nil {
		return fmt.Errorf("connect to monitor: %w", err)
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(time.Minute))
	answers := bufio.NewReader(c)
	for _, say := range []string{"", text + "\n"} {
		if _, err := io.WriteString(c, say); err != nil {
			return fmt.Errorf("order %s: %w", text, err)
		}
		if err := prompted(answers); err != nil {
			return fmt.Errorf("order %s: %w", text, err)
		}
	}
	return nil
}

const prompt = "(qemu) "

func prompted(r *bufio.Reader) error {
	for said := ""; !strings.HasSuffix(said, prompt); {
		b, err := r.ReadByte()
		if err != nil {
			return err
		}
		said += string(b)
	}
	return nil
}

// last is the end of what the kernel has said.
func (m *machine) last() string {
	text, err := os.ReadFile(m.console)
	if err != nil {
		return err.Error()
	}
	return string(text[max(0, len(text)-4000):])
}
