package wiretest

import (
	"slices"
	"strconv"
	"strings"

	"pgherd/proxy/wire"
)

func reply(kind wire.Kind, build func([]byte, *fields) []byte, read func([]byte) ([]word, error)) message {
	return message{name: kind.String(), side: Server, kind: kind, build: build, read: read}
}

var replies = slices.Concat(authentications, copies, rows, []message{
	reply(wire.BackendKeyData,
		func(dst []byte, f *fields) []byte {
			return wire.AppendBackendKeyData(dst, uint32(f.integer(32)), wire.Secret(f.text()))
		},
		func(body []byte) ([]word, error) {
			v, err := wire.ViewBackendKeyData(body)
			return []word{number(v.PID), text(v.Key)}, err
		}),
	bodyless(Server, wire.BindComplete, wire.AppendBindComplete),
	bodyless(Server, wire.CloseComplete, wire.AppendCloseComplete),
	reply(wire.CommandComplete,
		func(dst []byte, f *fields) []byte { return wire.AppendCommandComplete(dst, f.text()) },
		func(body []byte) ([]word, error) {
			v, err := wire.ViewCommandComplete(body)
			return []word{text(v.Tag)}, err
		}),
	bodyless(Server, wire.EmptyQueryResponse, wire.AppendEmptyQueryResponse),
	reply(wire.ErrorResponse,
		func(dst []byte, f *fields) []byte { return wire.AppendError(dst, f.fault()) }, readFault),
	reply(wire.NoticeResponse,
		func(dst []byte, f *fields) []byte { return wire.AppendNotice(dst, f.fault()) }, readFault),
	reply(wire.NegotiateProtocolVersion,
		func(dst []byte, f *fields) []byte {
			return wire.AppendNegotiateProtocolVersion(dst, f.version(), wire.MakeTexts(f.rest()...))
		},
		func(body []byte) ([]word, error) {
			v, err := wire.ViewNegotiateProtocolVersion(body)
			return slices.Concat([]word{version(v.Newest)}, texts(v.Options)), err
		}),
	bodyless(Server, wire.NoData, wire.AppendNoData),
	reply(wire.NotificationResponse,
		func(dst []byte, f *fields) []byte {
			return wire.AppendNotificationResponse(dst, uint32(f.integer(32)), f.text(), f.text())
		},
		func(body []byte) ([]word, error) {
			v, err := wire.ViewNotificationResponse(body)
			return []word{number(v.PID), text(v.Channel), text(v.Payload)}, err
		}),
	reply(wire.ParameterStatus,
		func(dst []byte, f *fields) []byte { return wire.AppendParameterStatus(dst, f.text(), f.text()) },
		func(body []byte) ([]word, error) {
			v, err := wire.ViewParameterStatus(body)
			return []word{text(v.Name), text(v.Value)}, err
		}),
	bodyless(Server, wire.ParseComplete, wire.AppendParseComplete),
	bodyless(Server, wire.PortalSuspended, wire.AppendPortalSuspended),
	reply(wire.ReadyForQuery,
		func(dst []byte, f *fields) []byte { return wire.AppendReadyForQuery(dst, f.letter("ITE")) },
		func(body []byte) ([]word, error) {
			v, err := wire.ViewReadyForQuery(body)
			return []word{text([]byte{v.State})}, err
		}),
})

var rows = []message{
	reply(wire.DataRow,
		func(dst []byte, f *fields) []byte { return wire.AppendDataRow(dst, f.values()...) },
		func(body []byte) ([]word, error) {
			v, err := wire.ViewDataRow(body)
			return values(v.Values), err
		}),
	reply(wire.FunctionCallResponse,
		func(dst []byte, f *fields) []byte {
			v := append(f.values(), nil)
			return wire.AppendFunctionCallResponse(dst, v[0])
		},
		func(body []byte) ([]word, error) {
			v, err := wire.ViewFunctionCallResponse(body)
			return []word{value(v.Value)}, err
		}),
	reply(wire.ParameterDescription,
		func(dst []byte, f *fields) []byte { return wire.AppendParameterDescription(dst, f.oids()) },
		func(body []byte) ([]word, error) {
			v, err := wire.ViewParameterDescription(body)
			return oids(v.Types), err
		}),
	reply(wire.RowDescription,
		func(dst []byte, f *fields) []byte { return wire.AppendRowDescription(dst, f.columns()...) }, readColumns),
}

const textOID = 25

// columns reads names, of type text or with the type's number: name:23.
func (f *fields) columns() (columns []wire.Column) {
	for _, name := range f.rest() {
		column := wire.Column{Name: []byte(name), Type: textOID, Size: -1, Modifier: -1}
		if at := strings.LastIndexByte(name, ':'); at >= 0 {
			if oid, err := strconv.ParseUint(name[at+1:], 10, 32); err == nil {
				column.Name, column.Type = []byte(name[:at]), uint32(oid)
			}
		}
		columns = append(columns, column)
	}
	return columns
}

func readColumns(body []byte) (words []word, err error) {
	v, err := wire.ViewRowDescription(body)
	for column := range v.Columns.All() {
		name := string(column.Name)
		if column.Type != textOID {
			name += ":" + strconv.FormatUint(uint64(column.Type), 10)
		}
		words = append(words, text(name))
	}
	return words, err
}

func (f *fields) fault() *wire.Fault {
	return &wire.Fault{
		Severity: f.text(), Code: f.text(), Message: f.text(), Detail: f.optional(), Hint: f.optional(),
	}
}

func readFault(body []byte) ([]word, error) {
	v := wire.ViewFault(body)
	words := []word{text(v.Severity), text(v.Code), text(v.Message), text(v.Detail), text(v.Hint)}
	for len(words) > 3 && words[len(words)-1].text == "" {
		words = words[:len(words)-1]
	}
	return words, nil
}

func texts(t wire.Texts) (words []word) {
	for one := range t.All() {
		words = append(words, text(one))
	}
	return words
}

func copyResponse(kind wire.Kind, build func([]byte, byte, wire.Formats) []byte) message {
	return reply(kind,
		func(dst []byte, f *fields) []byte {
			format := byte(0)
			switch w := f.text(); w {
			case "text":
			case "binary":
				format = 1
			default:
				f.fail("%s is neither text nor binary", w)
			}
			var codes []int16
			for len(f.words) > 0 {
				codes = append(codes, int16(f.integer(16)))
			}
			return build(dst, format, wire.MakeFormats(codes...))
		},
		func(body []byte) ([]word, error) {
			v, err := wire.ViewCopyResponse(kind, body)
			words := []word{text([]string{"text", "binary"}[v.Format&1])}
			for i := range v.Columns.Len() {
				words = append(words, number(v.Columns.At(i)))
			}
			return words, err
		})
}

var copies = []message{
	copyResponse(wire.CopyInResponse, wire.AppendCopyInResponse),
	copyResponse(wire.CopyOutResponse, wire.AppendCopyOutResponse),
	copyResponse(wire.CopyBothResponse, wire.AppendCopyBothResponse),
	data(Server, "CopyData", wire.CopyRow, wire.AppendCopyData[string]),
	bodyless(Server, wire.CopyEnd, wire.AppendCopyDone),
}
