package pool

// Modes says which Mode a client gets. The zero value is Session for all.
type Modes struct {
	Default Mode
	Entries []ModeEntry // the first that matches wins; with none it is Default
}

// ModeEntry gives a Mode to the clients of a database and a user; "" is any.
type ModeEntry struct {
	Database, User string
	Mode           Mode
}

// Of is the Mode of a user's clients in a database. Names count as they are,
// in their case.
func (m Modes) Of(database, user string) Mode {
	for _, e := range m.Entries {
		if (e.Database == "" || e.Database == database) && (e.User == "" || e.User == user) {
			return e.Mode
		}
	}
	return m.Default
}
