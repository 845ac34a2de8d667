package config

import "strings"

// splitList cuts a list at its separator. A separator after a backslash is part of an item, as in
// Pgpool-II's primary_routing_query_pattern_list. Other backslashes are kept, because most lists are
// regular expressions.
func splitList(text, sep string) []string {
	var items []string
	var b strings.Builder
	for i := 0; i < len(text); i++ {
		switch {
		case text[i] == '\\' && strings.HasPrefix(text[i+1:], sep):
			b.WriteString(sep)
			i += len(sep)
		case text[i] == '\\' && i+1 < len(text):
			b.WriteString(text[i : i+2])
			i++
		case strings.HasPrefix(text[i:], sep):
			items = append(items, b.String())
			b.Reset()
		default:
			b.WriteByte(text[i])
		}
	}
	return trimmed(append(items, b.String()))
}

// trimmed removes white space around items, unless a backslash precedes it, and empty items.
func trimmed(items []string) []string {
	var list []string
	for _, item := range items {
		item = strings.TrimLeft(item, blank)
		short := strings.TrimRight(item, blank)
		if endsInEscape(short) && len(short) < len(item) {
			short = item[:len(short)+1]
		}
		if short != "" {
			list = append(list, short)
		}
	}
	return list
}

// endsInEscape reports a last backslash that the one before does not stand in front of.
func endsInEscape(s string) bool {
	return (len(s)-len(strings.TrimRight(s, `\`)))%2 == 1
}

// joinList is the inverse of splitList.
func joinList(items []string, sep string) string {
	var b strings.Builder
	for n, item := range items {
		if n > 0 {
			b.WriteString(sep)
		}
		b.WriteString(escapeSep(item, sep))
	}
	return b.String()
}

// escapeSep puts a backslash in front of each separator that has none.
func escapeSep(item, sep string) string {
	var b strings.Builder
	for i := 0; i < len(item); i++ {
		switch {
		case item[i] == '\\' && i+1 < len(item):
			b.WriteString(item[i : i+2])
			i++
		case strings.HasPrefix(item[i:], sep):
			b.WriteString(`\` + sep)
		default:
			b.WriteByte(item[i])
		}
	}
	return b.String()
}
