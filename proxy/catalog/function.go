package catalog

// function gives the verdict on one overload by itself. All names must be known by
// then.
func (r *reading) function(name, language, volatility, source string) {
	node := "f" + name
	declared, kind := first(volatility), first(volatility[min(1, len(volatility)):])
	text := language == "sql" || language == "plpgsql"
	r.snapshot.peeks = r.snapshot.peeks || text && Peeks(source) || !text && language != "c" && language != "internal"
	switch {
	case kind == 'a': // the functions that it calls are noted as uses
	case text: // whatever the declaration, because PostgreSQL does not check it
		f := judge(source, language)
		r.body(node, f)
		r.define(node, source, f.words)
		r.texts = append(r.texts, node)
		if declared == 's' {
			r.placeBody(node, f)
		}
	case language == "unread":
		r.verdicts.raise(node, runs)
	case declared == 'i':
	case language == "c" || language == "internal" || language == "forgetful":
		r.native(node, judgeNative(name, language, declared))
	default:
		r.native(node, Spoils)
	}
	if declared != 'i' && declared != 's' || kind == 'p' || !text && (language == "unread" || native[name] == runs) {
		r.places.raise(node, writes)
	}
}

// first is the first letter, or 0.
func first(letters string) byte {
	if letters == "" {
		return 0
	}
	return letters[0]
}

func (r *reading) body(node string, f finding) {
	r.verdicts.raise(node, f.verdict)
	if f.ddl {
		r.verdicts.uses(node, "d")
	}
	for word := range f.words {
		if _, relation := r.snapshot.relations[word]; relation || r.names[word] {
			r.verdicts.uses(node, "f"+word)
			r.verdicts.uses(node, "w"+word)
		}
	}
}

// placeBody gives the verdict on a function declared STABLE, which PostgreSQL does not
// allow to write by itself: it depends on what it reads and calls.
func (r *reading) placeBody(node string, f finding) {
	r.places.raise(node, f.place)
	if f.verdict != Harmless {
		r.places.raise(node, writes)
	}
	for word := range f.words {
		if _, known := r.snapshot.functions[word]; known {
			r.places.uses(node, "f"+word)
		}
		if _, known := r.snapshot.relations[word]; known {
			r.places.uses(node, "r"+word)
		}
	}
}

// native notes what code in another language than SQL leaves, and that there is such
// code.
func (r *reading) native(node string, v Verdict) {
	r.verdicts.raise(node, v)
	r.snapshot.spoiling = r.snapshot.spoiling || v == Spoils
}

// judgeNative gives the verdict on C code, which cannot be read, by its declaration and
// its extension.
func judgeNative(name, language string, declared byte) Verdict {
	if v, known := native[name]; known {
		return v
	}
	if declared == 's' || language == "forgetful" {
		return Harmless
	}
	return Spoils
}
