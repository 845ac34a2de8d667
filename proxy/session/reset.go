package session

import (
	"strings"

	"pgherd/proxy/wire"
)

// mayBeOpen says that the server may be in a transaction, be it one without a BEGIN
// whose Sync has not come.
func (s *Session) mayBeOpen() bool { return s.status != wire.Idle || s.expect.InExtended() }

// onlyEnds says that a statement of reset_query_list ends a transaction and does
// nothing else. Where none is open PostgreSQL would write a warning for it into its
// log, each time that a client leaves.
func onlyEnds(sql string) bool {
	sql = strings.Trim(sql, " \t\r\n;")
	for _, word := range [...]string{"ABORT", "ROLLBACK"} {
		if len(sql) < len(word) || !strings.EqualFold(sql[:len(word)], word) {
			continue
		}
		rest := strings.TrimSpace(sql[len(word):])
		return rest == "" || sql[len(word)] <= ' ' && (strings.EqualFold(rest, "WORK") || strings.EqualFold(rest, "TRANSACTION"))
	}
	return false
}
