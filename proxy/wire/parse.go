package wire

// ParseView is a Parse in place.
type ParseView struct {
	Name  []byte
	SQL   []byte
	Types OIDs // of parameters, as far as the client names them; 0 is not named
}

// ViewParse reads the body of a Parse.
func ViewParse(body []byte) (v ParseView, err error) {
	c := cursor{rest: body}
	v.Name = c.text()
	v.SQL = c.text()
	v.Types = c.oids()
	return v, c.end("Parse")
}

// AppendParse builds a Parse.
func AppendParse[N, S Text](dst []byte, name N, sql S, types OIDs) []byte {
	dst, at := begin(dst, 'P')
	dst = appendText(appendText(dst, name), sql)
	return finish(appendOIDs(dst, types), at)
}
