package config

import "strings"

// unknown is the message for a name that is not in the table, with the nearest one that is.
func unknown(name string) string {
	text := "unknown parameter " + excerpt(name)
	if near := Nearest(name); near != "" {
		text += "; did you mean " + excerpt(near) + "?"
	}
	return text
}

// Nearest finds the known name closest to a wrong one, "" if none is close.
func Nearest(name string) string {
	base, digits := splitIndex(strings.ToLower(name))
	if len(base) > maxExcerpt {
		return ""
	}
	for len(digits) > 1 && digits[0] == '0' { // numbers have no leading zeros
		digits = digits[1:]
	}
	best, found := max(2, len(base)/4)+1, ""
	for _, p := range table {
		if d := distance(base, strings.ToLower(p.Name)); d < best {
			best, found = d, p.Name
			if p.Indexed {
				found += digits
			}
		}
	}
	return found
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
