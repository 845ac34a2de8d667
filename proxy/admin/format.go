package admin

import (
	"strconv"
	"time"
)

// clock writes a time as Pgpool-II does; "" for none.
func clock(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.Format(time.DateTime)
}

// seconds writes how long ago t was, in whole seconds; 0 for none.
func seconds(now, t time.Time) string {
	if t.IsZero() {
		return "0"
	}
	return strconv.Itoa(int(max(0, now.Sub(t)).Seconds()))
}

// flag writes Pgpool-II's 0 and 1.
func flag(b bool) string {
	if b {
		return "1"
	}
	return "0"
}
