package wire

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/jackc/pgx/v5/pgproto3"
)

func TestMessagesAgainstTheReference(t *testing.T) {
	for _, f := range formats() {
		for i, sample := range f.samples {
			t.Run(fmt.Sprintf("%v/%d", f.kind, i), func(t *testing.T) { checkSample(t, f, sample) })
		}
		for _, bad := range refused[f.kind] {
			if err := f.look([]byte(bad)); err == nil {
				t.Errorf("%v: accepted %q", f.kind, bad)
			}
		}
	}
}

func checkSample(t *testing.T, f format, sample message3) {
	want, err := sample.Encode(nil)
	if err != nil {
		t.Fatal(err)
	}
	body := want[HeaderLen:]
	got, err := f.rebuild(body)
	if err != nil || !bytes.Equal(got, want) {
		t.Fatalf("built %q, error %v\nwant %q", got, err, want)
	}
	if err := f.theirs().Decode(got[HeaderLen:]); err != nil {
		t.Errorf("pgproto3 refuses what was built: %v", err)
	}
	if low, high := f.kind.BodyLimits(); len(body) < low || len(body) > high || want[0] != f.kind.Tag() {
		t.Errorf("a Cutter would refuse it: type %q, %d bytes", want[0], len(body))
	}
	for n := range body {
		checkRefused(t, f, body[:n], "cut short")
	}
	checkRefused(t, f, append(bytes.Clone(body), 'x'), "with a byte left over")
	if n := testing.AllocsPerRun(100, func() { _ = f.look(body) }); n != 0 {
		t.Errorf("a view allocates %v times, want none", n)
	}
}

func checkRefused(t *testing.T, f format, body []byte, how string) {
	t.Helper()
	err := f.look(body)
	if wrong, ok := errors.AsType[*ViewError](err); ok && wrong.Message == f.kind.String() {
		return
	}
	if f.openEnded() {
		return
	}
	t.Errorf("%s, %q: got error %v", how, body, err)
}

// openEnded says that the body may end in any number of bytes.
func (f format) openEnded() bool {
	return slices.Contains([]Kind{BackendKeyData, Authentication}, f.kind)
}

func TestTextRows(t *testing.T) {
	var columns pgproto3.RowDescription
	built := AppendTextColumns(nil, "name", "")
	if err := columns.Decode(built[HeaderLen:]); err != nil || len(columns.Fields) != 2 {
		t.Fatalf("got %+v, error %v", columns, err)
	}
	want := pgproto3.FieldDescription{Name: []byte("name"), DataTypeOID: 25, DataTypeSize: -1, TypeModifier: -1}
	if got := columns.Fields[0]; fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("got %+v", got)
	}
	var row pgproto3.DataRow
	if err := row.Decode(AppendTextRow(nil, "a", "")[HeaderLen:]); err != nil {
		t.Fatal(err)
	}
	if len(row.Values) != 2 || string(row.Values[0]) != "a" || row.Values[1] == nil {
		t.Errorf("got %q", row.Values)
	}
}

func TestListsTooLongAreAMistakeOfOurs(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("65536 values were counted as 0")
		}
	}()
	AppendTextRow(nil, make([]string, 1<<16)...)
}

func TestWalkingAViewDoesNotAllocate(t *testing.T) {
	long := bytes.Repeat([]byte("x"), 1000)
	row := AppendDataRow(nil, long, nil, []byte{})[HeaderLen:]
	columns := AppendTextColumns(nil, "a", "b")[HeaderLen:]
	bind := AppendBind(nil, &BindView{
		Statement: []byte("s"), Formats: MakeFormats(0, 1), Params: MakeValues(long, nil),
	})[HeaderLen:]
	renamed := []byte("renamed")
	var dst []byte
	if n := testing.AllocsPerRun(100, func() {
		total := 0
		r, _ := ViewDataRow(row)
		for value := range r.Values.All() {
			total += len(value)
		}
		d, _ := ViewRowDescription(columns)
		for column := range d.Columns.All() {
			total += len(column.Name)
		}
		b, _ := ViewBind(bind)
		for range b.Params.All() {
			total++
		}
		if total != 1004 {
			t.Fatalf("the values have %d bytes in all", total)
		}
		b.Statement = renamed
		dst = AppendBind(dst[:0], &b)
	}); n != 0 {
		t.Errorf("got %v allocations, want none", n)
	}
}

func TestNullIsNotEmpty(t *testing.T) {
	v, err := ViewDataRow(AppendDataRow(nil, nil, []byte{})[HeaderLen:])
	got := slices.Collect(v.Values.All())
	if err != nil || len(got) != 2 || got[0] != nil || got[1] == nil {
		t.Errorf("got %#v, error %v", got, err)
	}
	f, err := ViewFunctionCallResponse(AppendFunctionCallResponse(nil, []byte{})[HeaderLen:])
	if err != nil || f.Value == nil {
		t.Errorf("got %#v, error %v", f.Value, err)
	}
}

func TestViewsCannotBeAppendedToInPlace(t *testing.T) {
	body := AppendParameterStatus(nil, "a", "b")[HeaderLen:]
	v, _ := ViewParameterStatus(body)
	_ = append(v.Name, "overwritten"...)
	if string(body) != "a\x00b\x00" {
		t.Errorf("an append wrote into the stream: %q", body)
	}
}

// TestBindNames checks that the names of a Bind are read as soon as they are there.
func TestBindNames(t *testing.T) {
	body := AppendBind(nil, &BindView{Portal: []byte("p"), Statement: []byte("s1"), Params: MakeValues([]byte("x"))})[HeaderLen:]
	names := len("p") + 1 + len("s1") + 1
	for n := range len(body) + 1 {
		portal, statement, ok := BindNames(body[:n])
		if ok != (n >= names) {
			t.Errorf("with %d bytes: found: %v", n, ok)
		}
		if ok && (string(portal) != "p" || string(statement) != "s1") {
			t.Errorf("with %d bytes: got portal %q, statement %q", n, portal, statement)
		}
	}
}
