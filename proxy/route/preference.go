package route

import (
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"pgherd/proxy/nodes"
)

// Preference sends the reads of some clients to some nodes.
type Preference struct {
	Clients *regexp.Regexp // must match the whole name
	Index   int            // number of the node; -1: Role says
	Role    nodes.Role
	Ratio   float64 // the share of the reads; the others are routed as without the preference
}

// ParsePreferences reads 'name:node(ratio),...'. name is a regular expression; node is
// a number, primary or standby; the ratio, from 0 to 1, is optional. The error joins
// what is wrong with each.
func ParsePreferences(list string) (all []Preference, err error) {
	var wrong []error
	for item := range strings.SplitSeq(list, ",") {
		item = strings.TrimSpace(item)
		if item == "" {
			continue
		}
		p, err := parsePreference(item)
		if err != nil {
			wrong = append(wrong, fmt.Errorf("read preference %q: %w", item, err))
		}
		all = append(all, p)
	}
	return all, errors.Join(wrong...)
}

var preferenceForm = regexp.MustCompile(`^(.+):\s*([a-z0-9]+)\s*(?:\(\s*([0-9.]+)\s*\))?$`)

func parsePreference(item string) (p Preference, err error) {
	m := preferenceForm.FindStringSubmatch(item)
	if m == nil {
		return p, fmt.Errorf("it is not name:node or name:node(ratio)")
	}
	p = Preference{Index: -1, Ratio: 1}
	if p.Clients, err = regexp.Compile("^(?:" + m[1] + ")$"); err != nil {
		return p, err
	}
	switch m[2] {
	case "primary":
		p.Role = nodes.Primary
	case "standby":
		p.Role = nodes.Standby
	default:
		if p.Index, err = strconv.Atoi(m[2]); err != nil {
			return p, fmt.Errorf("%q is not a node: use a number, primary or standby", m[2])
		}
	}
	if m[3] != "" {
		if p.Ratio, err = strconv.ParseFloat(m[3], 64); err != nil || p.Ratio > 1 {
			return p, fmt.Errorf("%q is not a ratio from 0 to 1", m[3])
		}
	}
	return p, nil
}

// preferred are the nodes preferred for this client: by its application, else its
// database, else its user. There are none if there is no such preference, if the ratio
// leaves this read out, or if none of the nodes is in use.
func preferred(candidates []Candidate, client Client, b *Balance, ratio float64) (some []Candidate, why string) {
	for _, list := range [...]struct {
		wishes []Preference
		name   string
		why    string
	}{
		{b.Applications, client.Application, "preferred for the application"},
		{b.Databases, client.Database, "preferred for the database"},
		{b.Users, client.User, "preferred for the user"},
	} {
		for i := range list.wishes {
			if p := &list.wishes[i]; p.Clients.MatchString(list.name) {
				if ratio >= p.Ratio {
					return nil, ""
				}
				return p.among(candidates), list.why
			}
		}
	}
	return nil, ""
}

// among are the nodes meant; of several, those that have a weight, if one has.
func (p *Preference) among(candidates []Candidate) []Candidate {
	some := only(candidates, func(c *Candidate) bool {
		return c.Index == p.Index || p.Index < 0 && c.Role == p.Role
	})
	if len(some) == 1 {
		return some
	}
	if heavy := only(some, hasWeight); len(heavy) > 0 {
		return heavy
	}
	return some[:min(1, len(some))]
}
