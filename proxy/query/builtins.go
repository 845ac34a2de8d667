package query

// Builtins calls each with every function of pg_catalog that the lists have, in
// no order: for who judges texts that are not a client's, as bodies of functions.
func Builtins(each func(name string, mark Mark, effects Effects)) {
	for name, b := range builtins() {
		each(name, b.mark, b.effects)
	}
}
