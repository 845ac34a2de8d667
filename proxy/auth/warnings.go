package auth

import (
	"fmt"
	"slices"
)

// inClear are the methods by which passwords are sent in clear text.
var inClear = map[string]bool{"password": true, "pam": true, "ldap": true}

// Warnings are rules that are legal and should be looked at, each with its place. asks says
// that pgherd can ask of which roles a user is a member.
func (p *Policy) Warnings(asks bool) (list []string) {
	warn := func(at place, format string, args ...any) {
		list = append(list, fmt.Sprintf("%v: ", at)+fmt.Sprintf(format, args...))
	}
	if p.HBA != nil {
		for i := range p.HBA.Rules {
			p.HBA.Rules[i].warnings(!asks, warn)
		}
	}
	if p.Ident != nil && !asks {
		for i := range p.Ident.lines {
			if _, is := p.Ident.lines[i].user.members(); is {
				warn(p.Ident.lines[i].place, "the line cannot match: %v", errNobody)
			}
		}
	}
	return list
}

func (r *Rule) warnings(nobody bool, warn func(at place, format string, args ...any)) {
	if inClear[r.Method] && (r.kind == host || r.kind == hostNoSSL) && !r.from.isLoopback() {
		warn(r.place(), "method %s takes passwords in clear text, and the line lets clients in without TLS: begin it with hostssl", r.Method)
	}
	if r.kind == hostGSS {
		warn(r.place(), "hostgssenc record cannot match because GSSAPI is not supported by pgherd")
	}
	switch {
	case !nobody || !r.asksMembers():
	case r.Method == "reject":
		warn(r.place(), "log-ins that this line may be for are refused: %v", errNobody)
	default:
		warn(r.place(), "the line cannot match, and log-ins that it may be for are refused if a later line trusts them: %v", errNobody)
	}
}

// asksMembers says that a name of the rule stands for members of a role.
func (r *Rule) asksMembers() bool {
	return slices.ContainsFunc(r.databases, func(t token) bool { return (&Peer{}).inDatabase(t) == member }) ||
		slices.ContainsFunc(r.users, func(t token) bool { _, is := t.members(); return is })
}
