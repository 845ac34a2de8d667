package config

import (
	"slices"
	"strconv"
	"strings"
)

// unknown is the message for a name that is not in the table, with the nearest one that is.
func unknown(name string) string {
	text := "unknown parameter " + excerpt(name)
	if near := Nearest(name); near != "" {
		text += "; did you mean " + excerpt(near) + "?"
	}
	return text
}

// Nearest finds the known name closest to a wrong one, "" if none is close. For the old name of a
// parameter it is today's. It is never one that means the opposite of what is written.
func Nearest(name string) string {
	base, digits := splitIndex(strings.ToLower(name))
	if len(base) > maxExcerpt {
		return ""
	}
	for len(digits) > 1 && digits[0] == '0' { // numbers have no leading zeros
		digits = digits[1:]
	}
	best, found := max(2, len(base)/4)+1, ""
	closer := func(known, now string) {
		d := distance(base, strings.ToLower(known))
		if d < best && !opposite(base, strings.ToLower(known)+"_"+now) {
			best, found = d, now
		}
	}
	for _, p := range table {
		if now := p.Name; p.Indexed() {
			closer(now, now+digits)
		} else {
			closer(now, now)
		}
	}
	for i := range formerNames {
		if f := &formerNames[i]; f.now != "" {
			closer(f.name, f.today(digits))
		}
	}
	return found
}

// today is the name that the old one with these digits behind it stands for.
func (f *former) today(digits string) string {
	number, err := strconv.Atoi(digits)
	if !f.shift || err != nil {
		return f.now
	}
	return f.now + strconv.Itoa(number+1)
}

// opposites are words of names, each with the one that must not be taken for it.
var opposites = [][2]string{
	{"white", "write"}, {"white", "black"}, {"read", "write"}, {"read", "black"}, {"safe", "unsafe"}, {"safe", "black"},
	{"white", "unsafe"}, {"enable", "disable"}, {"allow", "disallow"}, {"min", "max"}, {"up", "down"}, {"on", "off"},
	{"failover", "failback"}, {"attach", "detach"}, {"escalation", "de"}, {"escalation", "deescalation"}, {"1st", "2nd"}, {"first", "second"},
	{"connections", "disconnections"}, {"client", "server"}, {"frontend", "backend"}, {"primary", "standby"}, {"master", "slave"},
}

// opposite reports that a wrong name has a word that may be the opposite of one of the known name's words,
// being as close to that as to any of them.
func opposite(wrong, known string) bool {
	words, has := strings.Split(wrong, "_"), strings.Split(known, "_")
	for _, pair := range opposites {
		for i, meant := range pair {
			if slices.Contains(has, pair[1-i]) && !slices.Contains(has, meant) &&
				slices.ContainsFunc(words, func(word string) bool { return leansTo(word, meant, has) }) {
				return true
			}
		}
	}
	return false
}

func leansTo(word, meant string, has []string) bool {
	d := distance(word, meant)
	return d < min(3, len(meant)-1) && !slices.ContainsFunc(has, func(other string) bool { return distance(word, other) < d })
}

// distance counts the bytes to insert, delete or replace to turn a into b (Levenshtein).
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost++
			}
			diagonal = row[j+1]
			row[j+1] = min(cost, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
