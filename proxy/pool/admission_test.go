package pool

import "testing"

func TestAdmissionIsSharedWhileNothingChanges(t *testing.T) {
	first := Finding{"1/2", "a", "10"}
	known := first.Admit(nil)
	if first.Admit(known) != known || (Finding{"1/2", "a", "11"}).Admit(known) != known {
		t.Error("two equal findings do not share an Admission")
	}
	for _, other := range []Finding{{"1/3", "a", "10"}, {"1/2", "b", "10"}, {}} {
		if other.Admit(known) == known {
			t.Errorf("%v counts as equal to %v", other, first)
		}
	}
	known.End()
	if !known.Over() || first.Admit(known) == known {
		t.Error("an Admission that is over is given to new servers")
	}
	var none *Admission
	none.End()
	if none.Over() {
		t.Error("a server without an Admission counts as over")
	}
}

func TestReadFinding(t *testing.T) {
	if f := ReadFinding([][]string{{"1/2", "-7", "10.5"}}); f != (Finding{"1/2", "-7", "10.5"}) {
		t.Errorf("the finding is %v", f)
	}
	for _, rows := range [][][]string{nil, {{"1/2", "x"}}, {{"1", "2", "3"}, {"1", "2", "3"}}} {
		if f := ReadFinding(rows); f != (Finding{}) {
			t.Errorf("rows %v: got finding %v", rows, f)
		}
	}
}
