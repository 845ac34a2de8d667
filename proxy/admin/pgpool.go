package admin

import (
	"bytes"
	"maps"
	"strconv"
	"strings"

	"pgherd/proxy/config"
	"pgherd/proxy/wire"
)

// Order is PGPOOL SHOW, SET or RESET, about parameters as one session has set them for
// itself. Forms, results and tags are Pgpool-II's.
type Order struct {
	verb   string // show, set, reset; anything else is an error
	name   string // name of a parameter or a group, or all
	value  string // to set
	unset  bool   // it is set to DEFAULT
	config func() *config.Config
}

// Outcome is what an Order returns.
type Outcome struct {
	Rows    [][]string
	Values  map[string]string // values that the session has from now on, by parameter
	Warning *wire.Fault       // nil: none
}

// FindOrder returns the order that sql is, with or without a semicolon. Everything that
// begins with the word PGPOOL is one, even if it is wrong.
func (c *Commands) FindOrder(sql []byte) (*Order, bool) {
	if len(sql) > longest {
		return nil, false
	}
	first, rest := word(sql)
	if !is(first, "pgpool") {
		return nil, false
	}
	o := &Order{config: c.Config}
	if !o.read(bytes.TrimRight(rest, "; \t\r\n")) {
		o.verb = ""
	}
	return o, true
}

// read parses an order; it is false if sql is none.
func (o *Order) read(sql []byte) bool {
	verb, rest := word(sql)
	o.verb = strings.ToLower(string(verb))
	end := bytes.IndexAny(rest, "= \t\r\n;'\"")
	if end < 0 {
		end = len(rest)
	}
	o.name, rest = strings.ToLower(string(rest[:end])), unindent(rest[end:])
	switch {
	case o.name == "":
		return false
	case o.verb == "set":
		return o.readValue(rest)
	}
	return (o.verb == "show" || o.verb == "reset") && len(rest) == 0
}

// readValue reads {TO | =} {value | 'value' | DEFAULT}.
func (o *Order) readValue(b []byte) bool {
	if to, rest := word(b); is(to, "to") {
		b = rest
	} else if len(b) > 0 && b[0] == '=' {
		b = unindent(b[1:])
	} else {
		return false
	}
	if len(b) >= 2 && b[0] == '\'' && b[len(b)-1] == '\'' {
		plain := strings.ReplaceAll(string(b[1:len(b)-1]), "''", "\x00") // no client's text has that byte
		o.value = strings.ReplaceAll(plain, "\x00", "'")
		return !strings.Contains(plain, "'")
	}
	o.value, o.unset = string(b), is(b, "default")
	return len(b) > 0 && !bytes.ContainsAny(b, " \t\r\n;'\"")
}

// Columns are the names of the result's columns; none: no rows.
func (o *Order) Columns() []string {
	if o.verb != "show" {
		return nil
	}
	if o.many() {
		return []string{"item", "value", "description"}
	}
	if _, own, ok := config.Named(o.name); ok {
		return []string{own}
	}
	return []string{o.name}
}

// Tag is the command tag on completion. Pgpool-II uses SET for the RESET of one
// parameter, too.
func (o *Order) Tag(rows int) string {
	switch {
	case o.verb == "show":
		return "SELECT " + strconv.Itoa(rows)
	case o.verb == "reset" && o.name == all:
		return "RESET"
	}
	return "SET"
}

// Run runs the order for a session that has set these values, which it does not change.
// An error is a *wire.Fault.
func (o *Order) Run(values map[string]string) (Outcome, error) {
	switch {
	case o.verb == "show":
		rows, err := o.show(values)
		return Outcome{Rows: rows, Values: values}, err
	case o.verb == "reset" && o.name == all:
		return Outcome{}, nil
	case o.verb == "":
		return Outcome{}, fault("42601", "syntax error in a PGPOOL command",
			"The commands are PGPOOL SHOW {name | group | ALL}, PGPOOL SET name {TO | =} {value | 'value' | DEFAULT} and PGPOOL RESET {name | ALL}.")
	}
	return o.set(values)
}

// set runs SET and RESET of one parameter.
func (o *Order) set(values map[string]string) (Outcome, error) {
	p, own, ok := config.Named(o.name)
	if !ok {
		return Outcome{}, o.unknown()
	}
	if p.Context != config.Session {
		return Outcome{}, fault("55P02", "parameter "+strconv.Quote(own)+" cannot be changed now", later[p.Context])
	}
	next := maps.Clone(values)
	if next == nil {
		next = map[string]string{}
	}
	delete(next, own)
	if o.unset || o.verb == "reset" {
		return Outcome{Values: next}, nil
	}
	if err := p.Check(o.value); err != nil {
		return Outcome{}, fault("22023", "invalid value for parameter "+strconv.Quote(own)+": "+err.Error(), "")
	}
	next[own] = o.value
	return Outcome{Values: next, Warning: without(p)}, nil
}

// later says when a parameter can be changed.
var later = map[config.Context]string{
	config.Reload:  "Change it in the configuration file, and reload.",
	config.Startup: "Change it in the configuration file, and restart.",
}

// without is the warning that setting p has no effect; nil if it has.
func without(p *config.Param) *wire.Fault {
	if p.ActsOnSessions() {
		return nil
	}
	why := "This version does not act on it."
	if p.Process {
		why = "It acts on the whole process: change it in the configuration file."
	}
	return &wire.Fault{Severity: "WARNING", Code: "01000", Hint: why,
		Message: "parameter " + strconv.Quote(p.Name) + " is set, but has no effect on a session"}
}

func (o *Order) unknown() error {
	hint := ""
	if near := config.Nearest(o.name); near != "" {
		hint = "Did you mean " + strconv.Quote(near) + "?"
	}
	return fault("42704", "unrecognized configuration parameter "+strconv.Quote(o.name), hint)
}

func fault(code, message, hint string) error {
	return &wire.Fault{Severity: "ERROR", Code: code, Message: message, Hint: hint}
}
