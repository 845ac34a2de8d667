package supervisor

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"pgherd/proxy/failover"
	"pgherd/proxy/health"
)

// syncSet reads synchronous_standby_names (20.6.2 in PostgreSQL's manual):
//
//	name, ...              FIRST 1 of them; a number is a name as well
//	k (name, ...)          FIRST k of them
//	FIRST k (name, ...)
//	ANY k (name, ...)
//
// Case makes no difference, and *, quoted or not, is any name. Of a set that takes any name,
// streaming has those that are in it now, and every node may have been in it: one whose name
// is not known counts under a name of its own.
func syncSet(names string, seen []health.Seen, streaming []string) (set failover.SyncSet) {
	words := syncWords(names)
	if len(words) == 0 {
		return set
	}
	set.First, set.K = true, 1
	if head, _, listed := strings.Cut(names, "("); listed && !strings.ContainsAny(head, `",`) {
		set.First = !strings.EqualFold(words[0], "ANY")
		if !set.First || strings.EqualFold(words[0], "FIRST") {
			words = words[1:]
		}
		if len(words) > 0 {
			set.K, _ = strconv.Atoi(words[0]) // PostgreSQL takes nothing but a number here
			set.K, words = max(1, set.K), words[1:]
		}
	}
	for _, w := range words {
		if w == "*" {
			set.Names = append(set.Names, streaming...)
			for i := range seen {
				set.Names = append(set.Names, nameOfAny(&seen[i]))
			}
			continue
		}
		set.Names = append(set.Names, w)
	}
	for i := range set.Names {
		set.Names[i] = strings.ToLower(set.Names[i])
	}
	set.Names = slices.DeleteFunc(set.Names, func(name string) bool { return name == "" })
	slices.Sort(set.Names)
	set.Names = slices.Compact(set.Names)
	for i := range seen {
		if slices.Contains(words, "*") || slices.Contains(set.Names, strings.ToLower(nameOf(&seen[i]))) {
			set.Nodes = append(set.Nodes, seen[i].Index)
		}
	}
	return set
}

// nameOfAny is nameOf, or a name of pgherd's making where that is not known.
func nameOfAny(s *health.Seen) string {
	if name := nameOf(s); name != "" {
		return name
	}
	return fmt.Sprint("node ", s.Index)
}

// spaces are what PostgreSQL takes for white space in the list.
const spaces = " \t\n\r\f\v"

// syncWords are the words of a list, without its commas, parentheses and quotes.
func syncWords(text string) (words []string) {
	const between = spaces + ",()"
	for text = strings.TrimLeft(text, between); text != ""; text = strings.TrimLeft(text, between) {
		if text[0] != '"' {
			end := strings.IndexAny(text, between+`"`)
			if end < 0 {
				end = len(text)
			}
			words, text = append(words, text[:end]), text[end:]
			continue
		}
		word, rest := "", text[1:]
		for {
			part, after, _ := strings.Cut(rest, `"`)
			word += part
			if rest = after; !strings.HasPrefix(rest, `"`) {
				break
			}
			word, rest = word+`"`, rest[1:]
		}
		words, text = append(words, word), rest
	}
	return words
}
