package command

import "pgherd/proxy/route"

// Explained is the statement of an EXPLAIN ROUTE [VERBOSE], with its comments, some of which may be
// hints. It is not ok if the text is no EXPLAIN ROUTE.
func Explained(sql []byte) (statement []byte, verbose, ok bool) {
	for _, w := range [...]string{"explain", "route"} {
		if sql, ok = leading(sql, w); !ok {
			return nil, false, false
		}
	}
	statement, verbose = leading(sql, "verbose")
	return unindented(statement), verbose, true
}

// leading removes a word from the beginning of a text. It is not ok if the text begins otherwise.
func leading(sql []byte, word string) (rest []byte, ok bool) {
	rest = unindented(sql)
	if !beginsWith(rest, word) {
		return sql, false
	}
	rest = rest[len(word):]
	if len(rest) > 0 && !blank(rest[0]) && rest[0] != ';' && !(word != "explain" && route.Commented(rest)) {
		return sql, false
	}
	return rest, true
}

func unindented(sql []byte) []byte {
	for len(sql) > 0 && blank(sql[0]) {
		sql = sql[1:]
	}
	return sql
}

func blank(c byte) bool { return c == ' ' || c == '\t' || c == '\r' || c == '\n' || c == '\f' }
