package pool

import (
	"strconv"
	"strings"
	"time"
)

// Timeouts are PostgreSQL's own timeouts for silent clients and for transactions, as a
// server has them after its log-in: by start-up parameters, ALTER ROLE, ALTER DATABASE
// or its configuration. 0 means none.
type Timeouts struct {
	IdleSession       time.Duration
	IdleInTransaction time.Duration
	Transaction       time.Duration
}

// The settings that hold them.
const (
	IdleSessionTimeout       = "idle_session_timeout"
	IdleInTransactionTimeout = "idle_in_transaction_session_timeout"
	TransactionTimeout       = "transaction_timeout"
)

// Timeout reads the value of such a setting, as it is written after SET name TO or
// shown. It is 0 also for what is no such value.
func Timeout(value string) time.Duration {
	value = strings.TrimSpace(strings.Trim(value, "'"))
	end := strings.IndexFunc(value, func(r rune) bool { return (r < '0' || r > '9') && r != '.' })
	if end < 0 {
		end = len(value)
	}
	n, err := strconv.ParseFloat(value[:end], 64)
	unit, known := timeUnits[strings.TrimSpace(value[end:])]
	if err != nil || !known {
		return 0
	}
	return time.Duration(n * float64(unit))
}

// timeUnits are PostgreSQL's units. A number without a unit is in milliseconds.
var timeUnits = map[string]time.Duration{"": time.Millisecond, "us": time.Microsecond, "ms": time.Millisecond, "s": time.Second,
	"min": time.Minute, "h": time.Hour, "d": 24 * time.Hour}

// Quiet returns the settings in force on an idle server: PostgreSQL must not end it
// because a client that has left is silent.
func (s Settings) Quiet() Settings { return s.With(IdleSessionTimeout, "0") }

// QuietSQL brings Quiet about.
const QuietSQL = "SET " + IdleSessionTimeout + " TO 0"

// Restless says that PostgreSQL ends the server once it has been idle for a while.
func (s *Server) Restless() bool {
	if value, set := s.Settings[IdleSessionTimeout]; set {
		return Timeout(value) > 0
	}
	return s.Timeouts.IdleSession > 0
}

// Untimed begins a query of pgherd's own, so that the client's timeouts do not end it:
// statement_timeout would end the query, transaction_timeout the server.
func (s *Server) Untimed() string {
	const untimed = "SET LOCAL statement_timeout = 0;"
	if s.TimesTransactions() {
		return untimed + "SET LOCAL " + TransactionTimeout + " = 0;"
	}
	return untimed
}

// TimesTransactions says that the server's release has transaction_timeout.
func (s *Server) TimesTransactions() bool {
	version := Param(s.Params, "server_version") // 18.4, 19beta1
	end := strings.IndexFunc(version, func(r rune) bool { return r < '0' || r > '9' })
	major, err := strconv.Atoi(version[:max(end, 0)])
	return err == nil && major >= 17
}
