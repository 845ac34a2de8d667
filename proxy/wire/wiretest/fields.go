package wiretest

import (
	"fmt"
	"strconv"
	"strings"

	"pgherd/proxy/wire"
)

// fields takes the words of a message one after the other. What is wrong
// first is kept.
type fields struct {
	words []word
	err   error
}

func (f *fields) fail(format string, args ...any) {
	if f.err == nil {
		f.err = fmt.Errorf(format, args...)
	}
	f.words = nil
}

func (f *fields) next() word {
	if len(f.words) == 0 {
		f.fail("too few fields")
		return word{}
	}
	w := f.words[0]
	f.words = f.words[1:]
	return w
}

func (f *fields) text() string { return f.next().text }

// optional is empty if there is no field left.
func (f *fields) optional() string {
	if len(f.words) == 0 {
		return ""
	}
	return f.text()
}

func (f *fields) integer(bits int) int64 {
	w := f.next()
	n, err := strconv.ParseInt(w.text, 10, 64)
	if err != nil || n < -1<<(bits-1) || n >= 1<<bits {
		f.fail("%v is not a number of %d bits", w, bits)
	}
	return n
}

func (f *fields) letter(allowed string) byte {
	w := f.next()
	if len(w.text) != 1 || !strings.Contains(allowed, w.text) {
		f.fail("%v is not one of %s", w, allowed)
		return 0
	}
	return w.text[0]
}

// version reads 3.2.
func (f *fields) version() uint32 {
	major, minor, found := strings.Cut(f.text(), ".")
	high, err1 := strconv.ParseUint(major, 10, 16)
	low, err2 := strconv.ParseUint(minor, 10, 16)
	if !found || err1 != nil || err2 != nil {
		f.fail("a protocol version such as 3.0 is wanted")
	}
	return uint32(high<<16 | low)
}

func version(v uint32) word { return text(fmt.Sprintf("%d.%d", v>>16, v&0xffff)) }

func (f *fields) rest() (all []string) {
	for len(f.words) > 0 {
		all = append(all, f.text())
	}
	return all
}

func (f *fields) values() (all [][]byte) {
	for len(f.words) > 0 && !strings.HasPrefix(f.words[0].text, "[out:") {
		if w := f.next(); w.is("NULL") {
			all = append(all, nil)
		} else {
			all = append(all, []byte(w.text))
		}
	}
	return all
}

func (f *fields) oids() wire.OIDs {
	var all []uint32
	for len(f.words) > 0 {
		all = append(all, uint32(f.integer(32)))
	}
	return wire.MakeOIDs(all...)
}

// formats reads [in:0,1], if it is there.
func (f *fields) formats(which string) wire.Formats {
	if len(f.words) == 0 || !f.words[0].special {
		return nil
	}
	list, found := strings.CutPrefix(f.words[0].text, "["+which+":")
	if !found {
		return nil
	}
	var codes []int16
	for code := range strings.SplitSeq(strings.TrimSuffix(list, "]"), ",") {
		n, err := strconv.ParseInt(code, 10, 16)
		if err != nil {
			f.fail("%v is not a list of format codes", f.words[0])
			return nil
		}
		codes = append(codes, int16(n))
	}
	f.next()
	return wire.MakeFormats(codes...)
}

// formats writes what fields.formats reads: nothing if there are none.
func formats(which string, formats wire.Formats) []word {
	if formats.Len() == 0 {
		return nil
	}
	var codes []string
	for i := range formats.Len() {
		codes = append(codes, strconv.Itoa(int(formats.At(i))))
	}
	return []word{{text: "[" + which + ":" + strings.Join(codes, ",") + "]", special: true}}
}

func values(v wire.Values) (words []word) {
	for one := range v.All() {
		words = append(words, value(one))
	}
	return words
}

func oids(o wire.OIDs) (words []word) {
	for i := range o.Len() {
		words = append(words, number(o.At(i)))
	}
	return words
}
