package pool

import (
	"slices"
	"testing"
)

func TestRestore(t *testing.T) {
	for _, test := range []struct {
		name       string
		have, want Settings
		sql        string
		prepared   []string
		unsure     bool
	}{
		{name: "nothing set"},
		{name: "alike", have: Settings{"work_mem": "'1MB'"}, want: Settings{"work_mem": "'1MB'"}},
		{name: "another's value", have: Settings{"work_mem": "'1MB'"}, want: Settings{"work_mem": "'2MB'"}, sql: `SET "work_mem" TO '2MB';`},
		{name: "what nobody else set", have: Settings{"search_path": "'a', 'b'", "timezone": "'UTC'"}, want: Settings{"timezone": "'UTC'"},
			sql: `RESET "search_path";`},
		{name: "names that need quotes", want: Settings{`app.u"x`: "'1'"}, sql: `SET "app"."u""x" TO '1';`, unsure: true},
		{name: "as oneself again before anything else, as another at last",
			have: Settings{"role": "'r'"}, want: Settings{"role": "'r'", "session_authorization": "'s'", "work_mem": "'1MB'"},
			sql: `RESET "role";SET "work_mem" TO '1MB';SET session_authorization TO 's';SET role TO 'r';`, unsure: true},
		{name: "a role alone", have: Settings{"role": "'r'"}, sql: `RESET "role";`, unsure: true},
		{name: "what another could set and this one perhaps not take back", have: Settings{"log_min_messages": "'error'"},
			sql: `RESET "log_min_messages";`, unsure: true},
		{name: "prepared", have: Settings{PreparedName("p"): "PREPARE p AS SELECT 1", PreparedName("q"): "PREPARE q AS SELECT 1"},
			want:     Settings{PreparedName("p"): "PREPARE p AS SELECT 2"},
			prepared: []string{`DEALLOCATE "q"`, `DEALLOCATE "p"`, "PREPARE p AS SELECT 2"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := test.have.Restore(test.want)
			if r.Settings != test.sql || !slices.Equal(r.Prepared, test.prepared) || r.Sure == test.unsure {
				t.Errorf("the restore is %+v", r)
			}
		})
	}
}

func TestSettingsAreShared(t *testing.T) {
	a := Settings(nil).With("x", "'1'")
	b := a.With("x", "'2'").With("y", "'3'")
	c := b.With("x", "")
	if a["x"] != "'1'" || len(a) != 1 || b["x"] != "'2'" || len(b) != 2 || len(c) != 1 {
		t.Error("the settings are", a, b, c)
	}
}
