package report

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
)

// Write puts report.md, report.json and a plot for each workload into dir.
func (r *Report) Write(dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	whole, err := json.MarshalIndent(r, "", " ")
	if err != nil {
		return fmt.Errorf("write report: %w", err)
	}
	files := map[string][]byte{"report.md": []byte(r.Markdown(".")), "report.json": append(whole, '\n')}
	for _, w := range r.Workloads {
		files[w.Name+".svg"] = []byte(w.SVG())
	}
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), text, 0o644); err != nil {
			return err
		}
	}
	return nil
}
