package config

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
)

// value is one parsed value; which field holds it depends on the parameter's kind.
type value struct {
	text string // String, Enum; for others what SHOW prints
	on   bool
	num  int64
	real float64
	list []string
}

// maxExcerpt limits how much of a wrong value an error repeats.
const maxExcerpt = 64

var timeUnits = []unitSize{{"us", 1}, {"ms", 1e3}, {"s", 1e6}, {"min", 60e6}, {"h", 3600e6}, {"d", 86400e6}}

var sizeUnits = []unitSize{{"B", 1}, {"kB", 1 << 10}, {"MB", 1 << 20}, {"GB", 1 << 30}, {"TB", 1 << 40}}

type unitSize struct {
	name string
	size int64 // in the smallest unit of the family
}

// step is what the parameter's value counts.
func (p *Param) step() Unit {
	if p.Step != "" {
		return p.Step
	}
	return p.Unit
}

// steps is how many of those are in what a number without a suffix counts.
func (p *Param) steps() int64 {
	if p.Step == "" {
		return 1
	}
	return p.Unit.size() / p.Step.size()
}

// family lists the suffixes of a value with this unit, smallest first.
func (u Unit) family() []unitSize {
	switch u {
	case "":
		return nil
	case Bytes, Kilobytes:
		return sizeUnits
	default:
		return timeUnits
	}
}

// size is the unit's own size in its family's smallest unit.
func (u Unit) size() int64 { return sizeOf(u.family(), string(u)) }

func sizeOf(family []unitSize, name string) int64 {
	for _, f := range family {
		if f.name == name {
			return f.size
		}
	}
	return 0
}

// parse reads one value. Errors begin with the parameter's own words, and never repeat a
// secret.
func (p *Param) parse(text string) (value, error) {
	switch p.Kind {
	case Bool:
		return p.parseBool(text)
	case Integer:
		return p.parseInteger(text)
	case Real:
		return p.parseReal(text)
	case Enum:
		word, err := p.option(text)
		return value{text: word}, err
	case List:
		return p.parseList(text)
	default:
		return value{text: text}, nil
	}
}

func (p *Param) parseBool(text string) (value, error) {
	switch strings.ToLower(text) { // Pgpool-II accepts the beginnings of words
	case "on", "true", "yes", "1", "t", "tr", "tru", "y", "ye":
		return value{text: "on", on: true}, nil
	case "off", "false", "no", "0", "f", "fa", "fal", "fals", "n", "of":
		return value{text: "off"}, nil
	}
	return value{}, p.wrong(text, "is not a boolean; accepted are on, off, true, false, yes, no, 1, 0")
}

func (p *Param) parseReal(text string) (value, error) {
	real, err := strconv.ParseFloat(text, 64)
	if err != nil || math.IsNaN(real) {
		return value{}, p.wrong(text, "is not a number; accepted is "+p.Range())
	}
	if real < p.Min || real > p.Max {
		return value{}, p.wrong(text, "is out of range; accepted is "+p.Range())
	}
	return value{real: real, text: strconv.FormatFloat(real, 'g', -1, 64)}, nil
}

func (p *Param) parseInteger(text string) (value, error) {
	text = strings.TrimSpace(text)
	num, err := strconv.ParseInt(text, 0, 64)
	if errors.Is(err, strconv.ErrRange) {
		return value{}, p.wrong(text, "is out of range; accepted is "+p.Range())
	}
	amount := float64(num)
	if err == nil {
		num *= p.steps()
	} else {
		if num, err = p.parseQuantity(text); err != nil {
			return value{}, err
		}
		amount = float64(num) / float64(p.steps())
	}
	if amount < p.Min || amount > p.Max {
		return value{}, p.wrong(text, "is out of range; accepted is "+p.Range())
	}
	return value{num: num, text: p.show(num)}, nil
}

// parseQuantity reads a number with a suffix ("1.5h") in the parameter's step, rounded to the nearest.
// It does not round down to 0, because 0 often switches a limit off.
func (p *Param) parseQuantity(text string) (int64, error) {
	digits := strings.TrimLeft(text, "+-0123456789.")
	number, suffix := text[:len(text)-len(digits)], strings.TrimSpace(digits)
	amount, err := strconv.ParseFloat(number, 64)
	if err != nil || (p.Unit == "" && suffix == "") {
		return 0, p.wrong(text, "is not an integer; accepted is "+p.Range())
	}
	if p.Unit == "" {
		return 0, p.wrong(text, "has a unit; accepted is a plain integer, "+p.Range())
	}
	if suffix == "" {
		suffix = string(p.Unit)
	}
	size := sizeOf(p.Unit.family(), suffix)
	if size == 0 {
		return 0, p.wrong(text, "has a wrong unit; accepted are "+p.Suffixes())
	}
	amount = amount * float64(size) / float64(p.step().size())
	rounded := math.Round(amount)
	if math.Abs(rounded) >= maxLong {
		return 0, p.wrong(text, "is out of range; accepted is "+p.Range())
	}
	if rounded == 0 && amount != 0 {
		return 0, p.wrong(text, "is less than the smallest step of 1 "+string(p.step()))
	}
	return int64(rounded), nil
}

func (p *Param) parseList(text string) (value, error) {
	v := value{text: text}
	for _, item := range splitList(text, p.Separator()) {
		if len(p.Options) > 0 {
			word, err := p.option(item)
			if err != nil {
				return value{}, err
			}
			item = word
		}
		if p.Item != nil {
			if err := p.Item(item); err != nil {
				return value{}, fmt.Errorf("entry %s: %w", excerpt(item), err)
			}
		}
		v.list = append(v.list, item)
	}
	return v, nil
}

// option finds the accepted word, whatever its case.
func (p *Param) option(text string) (string, error) {
	same := func(word string) bool { return strings.EqualFold(word, text) }
	if i := slices.IndexFunc(p.Options, same); i >= 0 {
		return p.Options[i], nil
	}
	if now, ok := p.Former[strings.ToLower(text)]; ok {
		return now, nil
	}
	return "", p.wrong(text, "is not accepted; accepted: "+strings.Join(p.Options, ", "))
}

// formerWord mentions a word of older versions in text; "" if there is none.
func (p *Param) formerWord(text string) string {
	for _, word := range splitList(text, p.Separator()) {
		if now, ok := p.Former[strings.ToLower(word)]; ok {
			return word + " is the old word for " + now
		}
	}
	return ""
}

// Range describes the accepted numbers in the parameter's unit, "" for other kinds.
func (p *Param) Range() string {
	if p.Kind != Integer && p.Kind != Real {
		return ""
	}
	unit := ""
	if p.Unit != "" {
		unit = " " + string(p.Unit)
	}
	if p.Kind == Integer && p.Max >= maxInt {
		return fmt.Sprintf("%d%s or more", int64(p.Min), unit)
	}
	if p.Octal {
		return fmt.Sprintf("0%o to 0%o", int64(p.Min), int64(p.Max))
	}
	return fmt.Sprintf("%s to %s%s", plain(p.Min), plain(p.Max), unit)
}

func plain(n float64) string { return strconv.FormatFloat(n, 'f', -1, 64) }

// Suffixes lists the units a value may be written in.
func (p *Param) Suffixes() string {
	var names []string
	for _, f := range p.Unit.family() {
		names = append(names, f.name)
	}
	return strings.Join(names, ", ")
}

// show formats an integer as SHOW does: in the largest unit that loses nothing.
func (p *Param) show(num int64) string {
	if p.Octal {
		return fmt.Sprintf("0%o", num)
	}
	if num <= 0 || p.Unit == "" {
		return strconv.FormatInt(num, 10)
	}
	best, base := unitSize{string(p.step()), p.step().size()}, p.step().size()
	for _, f := range p.Unit.family() {
		if f.size > base && num%(f.size/base) == 0 {
			best = f
		}
	}
	return strconv.FormatInt(num/(best.size/base), 10) + best.name
}

// wrong builds the error for a value that cannot be used.
func (p *Param) wrong(text, what string) error {
	if p.Secret {
		return fmt.Errorf("value %s", what)
	}
	return fmt.Errorf("value %s %s", excerpt(text), what)
}

// excerpt quotes text, shortened.
func excerpt(text string) string {
	if len(text) > maxExcerpt {
		return strconv.Quote(text[:maxExcerpt]) + "..."
	}
	return strconv.Quote(text)
}
