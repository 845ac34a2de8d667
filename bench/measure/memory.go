package measure

import (
	"fmt"
	"os"
	"strconv"
	"strings"
)

// Resident is the memory that the proxy's processes hold now, in KB. Pages that several
// of them share are counted once (the sum of Pss).
func (m *Meter) Resident() (int64, error) {
	sum, _, err := m.memory("smaps_rollup", "Pss")
	return sum, err
}

// Peak is the most memory, in KB, that a proxy of one process has ever held (VmHWM).
// For one with several processes it is what they hold now, because their peaks were not
// at the same time.
func (m *Meter) Peak() (int64, error) {
	peak, count, err := m.memory("status", "VmHWM")
	if err == nil && count > 1 {
		return m.Resident()
	}
	return peak, err
}

func (m *Meter) memory(file, field string) (sum int64, count int, err error) {
	if m.proxy == 0 {
		return 0, 0, nil
	}
	all, err := processes()
	if err != nil {
		return 0, 0, err
	}
	for _, p := range tree(all, m.proxy) {
		text, err := os.ReadFile(fmt.Sprintf("/proc/%d/%s", p.pid, file))
		if err != nil {
			continue // it has ended, and holds nothing
		}
		if kb, ok := kilobytes(string(text), field); ok {
			sum += kb
			count++
		}
	}
	return sum, count, nil
}

// kilobytes finds a line such as "VmHWM:     1234 kB".
func kilobytes(text, field string) (int64, bool) {
	for line := range strings.Lines(text) {
		words := strings.Fields(line)
		if len(words) == 3 && words[0] == field+":" {
			kb, err := strconv.ParseInt(words[1], 10, 64)
			return kb, err == nil
		}
	}
	return 0, false
}
