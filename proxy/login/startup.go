package login

import (
	"fmt"
	"strings"

	"pgherd/proxy/pool"
	"pgherd/proxy/wire"
)

const (
	maxStartupParams = 100 // of one start-up packet
	longestName      = 63  // bytes: PostgreSQL's NAMEDATALEN - 1
)

// startUp reads the start-up packet into peer and client.
func (l *login) startUp(f *wire.First) error {
	if len(f.Params) > maxStartupParams {
		return &wire.Fault{Severity: "FATAL", Code: "54000", Message: "too many startup parameters",
			Detail: fmt.Sprintf("There are %d parameters, and at most %d are accepted.", len(f.Params), maxStartupParams)}
	}
	user, _ := f.Value("user")
	if user == "" {
		return &wire.Fault{Severity: "FATAL", Code: "28000", Message: "no PostgreSQL user name specified in startup packet"}
	}
	database, _ := f.Value("database")
	if database == "" {
		database = user
	}
	replication, err := replicationOf(f)
	if err != nil {
		return err
	}
	l.peer.User, l.peer.Database = shorten(user), shorten(database)
	l.peer.Physical = replication == physical
	l.client.Application, _ = f.Value("application_name")
	l.client.Target = pool.Target{Database: l.peer.Database, User: l.peer.User,
		Params: pool.EncodeParams(sessionParams(f, replication)), Replication: replication != ordinary}
	return nil
}

// shorten cuts a name where PostgreSQL would, before any rule is applied, because names
// that differ only beyond that are the same user.
func shorten(name string) string { return name[:min(len(name), longestName)] }

// replication is what parameter replication asks for.
type replication string

// The values are those that a server is sent.
const (
	ordinary replication = ""
	physical replication = "true"
	logical  replication = "database"
)

func replicationOf(f *wire.First) (replication, error) {
	value, found := f.Value(replicationParam)
	if !found {
		return ordinary, nil
	}
	if value == string(logical) {
		return logical, nil
	}
	on, valid := parseBool(value)
	switch {
	case !valid:
		return ordinary, &wire.Fault{Severity: "FATAL", Code: "22023",
			Message: fmt.Sprintf("invalid value for parameter %q: %q", replicationParam, value),
			Hint:    `Valid values are: "false", 0, "true", 1, "database".`}
	case on:
		return physical, nil
	}
	return ordinary, nil
}

const replicationParam = "replication"

// parseBool reads a boolean as PostgreSQL does: any unambiguous beginning of a word, in
// either case.
func parseBool(s string) (value, valid bool) {
	s = strings.ToLower(s)
	begins := func(word string, least int) bool { return len(s) >= least && strings.HasPrefix(word, s) }
	switch {
	case s == "1" || begins("true", 1) || begins("yes", 1) || begins("on", 2):
		return true, true
	case s == "0" || begins("false", 1) || begins("no", 1) || begins("off", 2):
		return false, true
	}
	return false, false
}

// sessionParams are the parameters with which a server is started, besides user and
// database.
func sessionParams(f *wire.First, r replication) (params []wire.Param) {
	for _, p := range f.Params {
		if p.Name != "user" && p.Name != "database" && p.Name != replicationParam {
			params = append(params, p)
		}
	}
	if r != ordinary {
		params = append(params, wire.Param{Name: replicationParam, Value: string(r)})
	}
	return params
}

// agree settles the version of the protocol. A client that asks for a newer one is told
// what it gets ("NegotiateProtocolVersion").
func (l *login) agree(f *wire.First) error {
	newest := min(f.Protocol, wire.Protocol32)
	l.client.Protocol = wire.Protocol30 // 3.1 was never released, and means 3.0
	if newest == wire.Protocol32 {
		l.client.Protocol = wire.Protocol32
	}
	if f.Protocol == newest && len(f.Options) == 0 {
		return nil
	}
	var options []string
	for _, option := range f.Options {
		options = append(options, option.Name)
	}
	message := wire.AppendNegotiateProtocolVersion(nil, newest, wire.MakeTexts(options...))
	if _, err := l.conn.Write(message); err != nil {
		return fmt.Errorf("negotiate protocol version: %w", err)
	}
	return nil
}
