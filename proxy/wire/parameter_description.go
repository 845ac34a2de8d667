package wire

// ParameterDescriptionView is a ParameterDescription in place.
type ParameterDescriptionView struct{ Types OIDs }

// ViewParameterDescription reads the body of a ParameterDescription.
func ViewParameterDescription(body []byte) (v ParameterDescriptionView, err error) {
	c := cursor{rest: body}
	v.Types = c.oids()
	return v, c.end("ParameterDescription")
}

// AppendParameterDescription builds a ParameterDescription.
func AppendParameterDescription(dst []byte, types OIDs) []byte {
	dst, at := begin(dst, 't')
	return finish(appendOIDs(dst, types), at)
}
