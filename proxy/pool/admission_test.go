package pool

import "testing"

func TestAdmissionIsSharedWhileNothingChanges(t *testing.T) {
	first := Finding{"1/2", "a", "10"}
	known := first.Admit(nil)
	if first.Admit(known) != known || (Finding{"1/2", "a", "11"}).Admit(known) != known {
		t.Error("the same is not shared")
	}
	for _, other := range []Finding{{"1/3", "a", "10"}, {"1/2", "b", "10"}, {}} {
		if other.Admit(known) == known {
			t.Errorf("%v is taken for %v", other, first)
		}
	}
	known.End()
	if !known.Over() || first.Admit(known) == known {
		t.Error("one that is over is given to new servers")
	}
	var none *Admission
	none.End()
	if none.Over() {
		t.Error("a server of which nothing is known is over")
	}
}

func TestReadFinding(t *testing.T) {
	if f := ReadFinding([][]string{{"1/2", "-7", "10.5"}}); f != (Finding{"1/2", "-7", "10.5"}) {
		t.Error(f)
	}
	for _, rows := range [][][]string{nil, {{"1/2", "x"}}, {{"1", "2", "3"}, {"1", "2", "3"}}} {
		if f := ReadFinding(rows); f != (Finding{}) {
			t.Errorf("%v: %v", rows, f)
		}
	}
}
