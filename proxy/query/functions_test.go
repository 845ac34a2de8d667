package query

import "testing"

func TestBuiltins(t *testing.T) {
	seen := map[string]Effects{}
	Builtins(func(name string, mark Mark, effects Effects) {
		if name == "set_config" && mark != MarkSession || name == "abs" && mark != Harmless {
			t.Errorf("function %s: got mark %v", name, mark)
		}
		seen[name] = effects
	})
	if len(seen) < 2_000 || seen["set_config"] != SetsConfig || seen["pg_advisory_lock"] != AdvisoryLock|Writes {
		t.Errorf("got %d functions, set_config: %v, pg_advisory_lock: %v", len(seen), seen["set_config"], seen["pg_advisory_lock"])
	}
}
