package wire

// ViewBodyless checks a message of kind k that has no body.
func ViewBodyless(k Kind, body []byte) error {
	c := cursor{rest: body}
	return c.end(k.String())
}

// Requests without a body.

// AppendCopyDone builds a CopyDone, which goes both ways.
func AppendCopyDone(dst []byte) []byte { return bodyless(dst, 'c') }

// AppendFlush builds a Flush.
func AppendFlush(dst []byte) []byte { return bodyless(dst, 'H') }

// AppendSync builds a Sync.
func AppendSync(dst []byte) []byte { return bodyless(dst, 'S') }

// AppendTerminate builds a Terminate.
func AppendTerminate(dst []byte) []byte { return bodyless(dst, 'X') }

// Replies without a body.

// AppendBindComplete builds a BindComplete.
func AppendBindComplete(dst []byte) []byte { return bodyless(dst, '2') }

// AppendCloseComplete builds a CloseComplete.
func AppendCloseComplete(dst []byte) []byte { return bodyless(dst, '3') }

// AppendEmptyQueryResponse builds an EmptyQueryResponse.
func AppendEmptyQueryResponse(dst []byte) []byte { return bodyless(dst, 'I') }

// AppendNoData builds a NoData.
func AppendNoData(dst []byte) []byte { return bodyless(dst, 'n') }

// AppendParseComplete builds a ParseComplete.
func AppendParseComplete(dst []byte) []byte { return bodyless(dst, '1') }

// AppendPortalSuspended builds a PortalSuspended.
func AppendPortalSuspended(dst []byte) []byte { return bodyless(dst, 's') }

func bodyless(dst []byte, tag byte) []byte { return append(dst, tag, 0, 0, 0, 4) }
