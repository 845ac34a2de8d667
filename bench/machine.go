package bench

import (
	"fmt"
	"os"
	"runtime"
	"strings"

	"pgherd/bench/report"
)

// machine describes what this runs on.
func machine() (report.Machine, error) {
	m := report.Machine{Cores: runtime.NumCPU()}
	kernel, err := os.ReadFile("/proc/sys/kernel/osrelease")
	if err != nil {
		return m, fmt.Errorf("read kernel's version: %w", err)
	}
	m.Kernel = strings.TrimSpace(string(kernel))
	for _, field := range []struct {
		path, name string
		value      *string
	}{{"/proc/cpuinfo", "model name", &m.CPU}, {"/proc/meminfo", "MemTotal", &m.Memory}} {
		text, err := os.ReadFile(field.path)
		if err != nil {
			return m, fmt.Errorf("read %s: %w", field.path, err)
		}
		*field.value = valueOf(string(text), field.name)
	}
	return m, nil
}

// valueOf finds the first line "name : value".
func valueOf(text, name string) string {
	for line := range strings.Lines(text) {
		key, value, _ := strings.Cut(line, ":")
		if strings.TrimSpace(key) == name {
			return strings.Join(strings.Fields(value), " ")
		}
	}
	return "unknown"
}
