package wire

import "bytes"

// Fault is an error or a notice as PostgreSQL reports it: the body of
// ErrorResponse and NoticeResponse ("Error and Notice Message Fields").
type Fault struct {
	Severity string // FATAL, ERROR, WARNING, NOTICE …
	Code     string // SQLSTATE
	Message  string
	Detail   string
	Hint     string
}

// Error is the message with its SQLSTATE.
func (f *Fault) Error() string { return f.Message + " (SQLSTATE " + f.Code + ")" }

// ViewFault reads the body of an ErrorResponse or NoticeResponse. It skips the
// fields that Fault does not have. Of a body that is cut short it returns the
// fields that are there.
func ViewFault(body []byte) (f Fault) {
	severity := ""
	for len(body) > 1 && body[0] != 0 {
		field := body[0]
		value, rest, found := bytes.Cut(body[1:], []byte{0})
		if !found {
			break
		}
		switch body = rest; field {
		case 'S':
			severity = string(value)
		case 'V': // never translated
			f.Severity = string(value)
		case 'C':
			f.Code = string(value)
		case 'M':
			f.Message = string(value)
		case 'D':
			f.Detail = string(value)
		case 'H':
			f.Hint = string(value)
		}
	}
	if f.Severity == "" {
		f.Severity = severity
	}
	return f
}

// AppendError builds an ErrorResponse.
func AppendError(dst []byte, f *Fault) []byte { return appendFault(dst, 'E', f) }

// AppendNotice builds a NoticeResponse.
func AppendNotice(dst []byte, f *Fault) []byte { return appendFault(dst, 'N', f) }

func appendFault(dst []byte, tag byte, f *Fault) []byte {
	dst, at := begin(dst, tag)
	for _, field := range [...]struct {
		tag   byte
		value string
	}{{'S', f.Severity}, {'V', f.Severity}, {'C', f.Code}, {'M', f.Message}, {'D', f.Detail}, {'H', f.Hint}} {
		if field.value != "" {
			dst = append(append(append(dst, field.tag), field.value...), 0)
		}
	}
	return finish(append(dst, 0), at)
}
