package catalog

// statements are what a statement in a body leaves, by its first word. Those that need
// a closer look are in statement.
var statements = map[string]Verdict{
	"drop":   Asks, // the search_path may begin with pg_temp
	"listen": Asks, "unlisten": Asks,
	"prepare": Asks, "deallocate": Asks, "discard": Asks,
	"load": Spoils,
	"do":   runs, // its code is in a string
}

// definitions are the first words of statements that fire event triggers.
var definitions = map[string]bool{
	"create": true, "alter": true, "drop": true, "grant": true, "revoke": true, "comment": true,
	"security": true, "refresh": true, "reindex": true, "import": true,
}

// creations are what CREATE creates without running code; it may be temporary, or be
// created in pg_temp. Of everything else (functions in strings, extensions) nothing is
// known.
var creations = map[string]bool{
	"table": true, "temp": true, "temporary": true, "global": true, "local": true, "unlogged": true,
	"view": true, "materialized": true, "recursive": true, "sequence": true, "index": true, "unique": true,
	"type": true, "schema": true,
}

// hidden are settings that pg_settings does not list.
var hidden = map[string]bool{"role": true, "authorization": true, "session_authorization": true}

// starts are the words after which a statement of PL/pgSQL may begin.
var starts = map[string]bool{"begin": true, "then": true, "else": true, "loop": true}
