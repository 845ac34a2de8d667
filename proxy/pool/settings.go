package pool

import (
	"maps"
	"slices"
	"strings"
)

// Settings are what a session has set and prepared in SQL: by the name of a setting,
// the text that follows "SET name TO"; by PreparedName, the whole PREPARE statement. It
// may be shared, and is never changed. A setting that is not in it is as the server had
// it after its log-in.
type Settings map[string]string

// String lists each setting as name=value, in order.
func (s Settings) String() string {
	var list []string
	for _, name := range slices.Sorted(maps.Keys(s)) {
		list = append(list, name+"="+s[name])
	}
	return strings.Join(list, " ")
}

// PreparedName is the name under which Settings hold a statement of SQL PREPARE. No
// setting can have such a name, because names of settings have no blank.
func PreparedName(statement string) string { return preparedName + statement }

const preparedName = "prepare "

// IsPrepared returns the statement's name if the name is not that of a setting.
func IsPrepared(name string) (statement string, ok bool) {
	return strings.CutPrefix(name, preparedName)
}

// encoding is the setting by which the server reads everything else.
const encoding = "client_encoding"

// These say who a session is, and so what it may set. They are reset first and set
// last.
var identities = []string{"session_authorization", "role"}

// With returns Settings in which the name has the value; "" removes it.
func (s Settings) With(name, value string) Settings {
	if s[name] == value {
		return s
	}
	changed := maps.Clone(s)
	if changed == nil {
		changed = Settings{}
	}
	if changed[name] = value; value == "" {
		delete(changed, name)
	}
	return changed
}

// Restoration is the SQL that turns one session's settings into another's.
type Restoration struct {
	Encoding string   // the first statement, if the encoding of the others changes
	Settings string   // one string of statements; "" if there is nothing to change
	Prepared []string // statements, each to be sent alone, any of which may fail
	// Sure says that the statements cannot fail, because their values depend on nothing
	// that may have changed since they were first set.
	Sure bool
}

// Restore returns what changes a server's settings from s to want.
func (s Settings) Restore(want Settings) Restoration {
	r := Restoration{Sure: true}
	if len(s) == 0 && len(want) == 0 {
		return r
	}
	var undo, do []string
	for _, name := range slices.Sorted(maps.Keys(s)) {
		if _, kept := want[name]; !kept {
			undo = append(undo, name)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(want)) {
		if s[name] != want[name] {
			do = append(do, name)
		}
	}
	if len(undo)+len(do) > 0 {
		r.write(s, want, undo, do)
	}
	return r
}

func (r *Restoration) write(have, want Settings, undo, do []string) {
	var sql strings.Builder
	for _, name := range identities {
		if have[name] != "" {
			sql.WriteString(reset(name))
			r.Sure = false
		}
	}
	for _, name := range undo {
		if name == encoding {
			r.Encoding = reset(name)
		} else if statement, ok := IsPrepared(name); ok {
			r.Prepared = append(r.Prepared, "DEALLOCATE "+quoteName(statement))
		} else if !slices.Contains(identities, name) {
			sql.WriteString(reset(name))
			r.Sure = r.Sure && sure[name]
		}
	}
	for _, name := range do {
		if name == encoding {
			r.Encoding = "SET " + name + " TO " + want[name] + ";"
		} else if statement, ok := IsPrepared(name); ok {
			if have[name] != "" {
				r.Prepared = append(r.Prepared, "DEALLOCATE "+quoteName(statement))
			}
			r.Prepared = append(r.Prepared, want[name])
		} else if !slices.Contains(identities, name) {
			sql.WriteString(set(name, want[name]))
			r.Sure = r.Sure && sure[name]
		}
	}
	for _, name := range identities {
		if want[name] != "" {
			sql.WriteString("SET " + name + " TO " + want[name] + ";")
			r.Sure = false
		}
	}
	r.Settings = sql.String()
}

// SetLocal is the SQL that gives a setting a value until the end of the transaction.
func SetLocal(name, value string) string {
	if value == "" {
		value = "DEFAULT"
	}
	if value == EmptyList {
		return "SELECT pg_catalog.set_config('" + name + "', '', true)"
	}
	return "SET LOCAL " + quoteSetting(name) + " TO " + value
}

// EmptyList is the value of a setting that is a list without entries. SET cannot write
// it, because an empty constant is a list of one empty name.
const EmptyList = "empty list"

// DiscardSequences makes the server forget the numbers that were drawn from sequences.
const DiscardSequences = "DISCARD SEQUENCES"

func set(name, value string) string {
	if value == EmptyList {
		return "SELECT pg_catalog.set_config('" + name + "', '', false);"
	}
	return "SET " + quoteSetting(name) + " TO " + value + ";"
}

func reset(name string) string { return "RESET " + quoteSetting(name) + ";" }

func quoteName(name string) string { return `"` + strings.ReplaceAll(name, `"`, `""`) + `"` }

// quoteSetting quotes each part of a name like app.user.
func quoteSetting(name string) string {
	parts := strings.Split(name, ".")
	for i, part := range parts {
		parts[i] = quoteName(part)
	}
	return strings.Join(parts, ".")
}

// sure are the settings for which a value that was accepted once will be accepted
// again: whether it is valid depends on the value alone, and any user may set them.
var sure = map[string]bool{
	"application_name": true, "bytea_output": true, "client_encoding": true, "client_min_messages": true,
	"datestyle": true, "default_transaction_deferrable": true, "default_transaction_isolation": true,
	"default_transaction_read_only": true, "extra_float_digits": true, "idle_in_transaction_session_timeout": true,
	"idle_session_timeout": true, "intervalstyle": true, "lock_timeout": true, "search_path": true,
	"standard_conforming_strings": true, "statement_timeout": true, "synchronous_commit": true,
	"timezone": true, "work_mem": true,
}
