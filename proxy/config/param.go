package config

import (
	"math"
	"slices"
	"strconv"
	"strings"
)

// Kind is the type of a parameter's value.
type Kind int

// The kinds of value; a List is text split at Param.Sep.
const (
	String Kind = iota
	Bool
	Integer
	Real
	Enum
	List
)

func (k Kind) String() string {
	return [...]string{"string", "boolean", "integer", "real", "enum", "list"}[k]
}

// Unit is what a number without a suffix counts; "" means a plain number.
type Unit string

// The units parameters are kept in. Values may be written with any suffix of the same family.
const (
	Milliseconds Unit = "ms"
	Seconds      Unit = "s"
	Minutes      Unit = "min"
	Bytes        Unit = "B"
	Kilobytes    Unit = "kB"
)

// Context says when a changed value is taken up.
type Context int

// Reload: at a reload. Startup: only at a start. Session: at a reload, and by PGPOOL SET for one session.
const (
	Reload Context = iota
	Startup
	Session
)

func (c Context) String() string { return [...]string{"reload", "startup", "session"}[c] }

// Upper ends of ranges that have no narrower one.
const (
	maxInt  = math.MaxInt32
	maxLong = math.MaxInt64
)

// MaxIndex is the highest number a per-index name may carry (backend_hostname127).
const MaxIndex = 127

// noIndex stands for the name without a number.
const noIndex = -1

// Index says whether a parameter's name ends with a number.
type Index uint8

const (
	Unnumbered     Index = iota // it does not
	Numbered                    // it does: backend_hostname0
	NumberOptional              // without a number it is for all nodes that have no value of their own
)

// Indexed says that the name may end with a number.
func (p *Param) Indexed() bool { return p.Index != Unnumbered }

// Param is one row of the table that feeds the parser, SHOW, the manual and the sample file.
// It is in effect exactly if it has a place in Config (Into or IntoNode).
type Param struct {
	Name     string
	Alias    string // another accepted name, same value
	Group    string // set from the list the row stands in
	Kind     Kind
	Unit     Unit
	Step     Unit              // the smallest part of Unit that counts; "": Unit itself
	Min, Max float64           // inclusive, in Unit; Integer and Real only
	Octal    bool              // shown in octal (file modes)
	Options  []string          // accepted words of an Enum, or of each item of a List
	Former   map[string]string // words of older versions, in small letters, and Options' for them
	Sep      string            // List: separator, "" means ","
	Append   bool              // List: repeated lines add up instead of the last one winning
	Default  string            // as written in a file
	Context  Context
	Process  bool   // Context Session, and yet it acts on the whole process only
	Doc      string // one or two sentences for manual and sample
	Secret   bool   // value shown as *****
	Path     bool   // relative to the configuration file's folder
	Index    Index

	Item func(item string) error // List: what is wrong with an item, beside Options

	Into     func(*Config) any // field for the value, nil: not in effect
	IntoNode func(*Node) any   // the same for a per-index parameter of nodes
	IntoPeer func(*Peer) any   // and of peers
}

// InEffect reports whether this version acts on the parameter. Others are accepted and reported.
func (p *Param) InEffect() bool { return p.Into != nil || p.IntoNode != nil || p.IntoPeer != nil }

// Separator is what splits a List.
func (p *Param) Separator() string {
	if p.Sep == "" {
		return ","
	}
	return p.Sep
}

// nameAt is the name as written in a file for one index.
func (p *Param) nameAt(index int) string {
	if index == noIndex {
		return p.Name
	}
	return p.Name + strconv.Itoa(index)
}

var (
	table    = slices.Concat(connectionParams, tcpParams, engineParams, fileParams, loginParams, sslParams, serverTLSParams, poolParams, limitParams, timeoutParams, loggingParams, generalParams, replicationParams, streamingParams, balanceParams, cacheParams, healthParams, failoverParams, patroniParams, recoveryParams, watchdogParams, lifecheckParams)
	byName   = indexNames(table)
	defaults = parseDefaults(table)
)

// Params returns all known parameters in the manual's order. They are shared: do not change them.
func Params() []*Param { return slices.Clone(table) }

// Find returns the parameter with that name or alias, whatever its case, without an index.
func Find(name string) (*Param, bool) {
	p, ok := byName[strings.ToLower(name)]
	return p, ok
}

// inGroup labels the rows of one group.
func inGroup(group string, rows []Param) []*Param {
	list := make([]*Param, len(rows))
	for i := range rows {
		rows[i].Group = group
		list[i] = &rows[i]
	}
	return list
}

func indexNames(rows []*Param) map[string]*Param {
	names := make(map[string]*Param, len(rows))
	for _, p := range rows {
		names[strings.ToLower(p.Name)] = p
		if p.Alias != "" {
			names[strings.ToLower(p.Alias)] = p
		}
	}
	return names
}

// parseDefaults reads every default with the parser's own rules; a bad one is a mistake in the table.
func parseDefaults(rows []*Param) map[*Param]value {
	values := make(map[*Param]value, len(rows))
	for _, p := range rows {
		v, err := p.parse(p.Default)
		if err != nil {
			panic("config table: default of " + p.Name + ": " + err.Error())
		}
		values[p] = v
	}
	return values
}

// resolve finds the parameter and index a name in a file stands for.
func resolve(name string) (p *Param, index int, ok bool) {
	if p, ok = Find(name); ok {
		return p, noIndex, true
	}
	base, digits := splitIndex(name)
	p, ok = Find(base)
	index, err := strconv.Atoi(digits)
	if !ok || !p.Indexed() || err != nil || strconv.Itoa(index) != digits {
		return nil, noIndex, false
	}
	return p, index, true
}

// splitIndex cuts the digits off the end of a name.
func splitIndex(name string) (base, digits string) {
	base = strings.TrimRight(name, "0123456789")
	return base, name[len(base):]
}
