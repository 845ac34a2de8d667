package wire

import (
	"bytes"
	"reflect"
	"slices"

	"github.com/jackc/pgx/v5/pgproto3"
)

// message3 has the methods that pgproto3's messages have in common.
type message3 interface {
	Decode([]byte) error
	Encode([]byte) ([]byte, error)
}

// format is one kind of message, as the tests use it.
type format struct {
	kind Kind
	// rebuild views a body and builds the same message from the view.
	rebuild func(body []byte) ([]byte, error)
	// look only views the body, and must not allocate.
	look func(body []byte) error
	// theirs makes a message of pgproto3's type.
	theirs func() message3
	// samples are messages of pgproto3 that must pass through pgherd's type unchanged.
	samples []message3
}

func formatFor[V any](
	k Kind, view func([]byte) (V, error), build func([]byte, V) []byte, samples ...message3,
) format {
	return format{
		kind: k,
		rebuild: func(body []byte) ([]byte, error) {
			v, err := view(body)
			return build(nil, v), err
		},
		look:    func(body []byte) error { _, err := view(body); return err },
		theirs:  func() message3 { return reflect.New(reflect.TypeOf(samples[0]).Elem()).Interface().(message3) },
		samples: samples,
	}
}

func formatWithoutBody(k Kind, build func([]byte) []byte, sample message3) format {
	return formatFor(k,
		func(body []byte) (struct{}, error) { return struct{}{}, ViewBodyless(k, body) },
		func(dst []byte, _ struct{}) []byte { return build(dst) }, sample)
}

func formatOfCopy(k Kind, build func([]byte, byte, Formats) []byte, samples ...message3) format {
	return formatFor(k,
		func(body []byte) (CopyResponseView, error) { return ViewCopyResponse(k, body) },
		func(dst []byte, v CopyResponseView) []byte { return build(dst, v.Format, v.Columns) }, samples...)
}

// formats are all messages that have views.
func formats() []format {
	return slices.Concat(requestFormats(), replyFormats(), formatsWithoutBody(), []format{authenticationFormat()})
}

func requestFormats() []format {
	long := bytes.Repeat([]byte("x"), 300)
	return []format{
		formatFor(Bind, ViewBind, func(dst []byte, v BindView) []byte { return AppendBind(dst, &v) },
			&pgproto3.Bind{},
			&pgproto3.Bind{
				DestinationPortal: "portal", PreparedStatement: "statement",
				ParameterFormatCodes: []int16{0, 1, 1}, Parameters: [][]byte{long, nil, {}},
				ResultFormatCodes: []int16{1, 0},
			}),
		formatFor(Close, ViewClose, func(dst []byte, v CloseView) []byte { return AppendClose(dst, v.What, v.Name) },
			&pgproto3.Close{ObjectType: Statement, Name: "s"}, &pgproto3.Close{ObjectType: Portal}),
		formatFor(CopyFail, ViewCopyFail, func(dst []byte, v CopyFailView) []byte { return AppendCopyFail(dst, v.Reason) },
			&pgproto3.CopyFail{}, &pgproto3.CopyFail{Message: "no"}),
		formatFor(Describe, ViewDescribe, func(dst []byte, v DescribeView) []byte { return AppendDescribe(dst, v.What, v.Name) },
			&pgproto3.Describe{ObjectType: Statement, Name: "s"}, &pgproto3.Describe{ObjectType: Portal}),
		formatFor(Execute, ViewExecute, func(dst []byte, v ExecuteView) []byte { return AppendExecute(dst, v.Portal, v.MaxRows) },
			&pgproto3.Execute{}, &pgproto3.Execute{Portal: "p", MaxRows: 1 << 31}),
		formatFor(FunctionCall, ViewFunctionCall, func(dst []byte, v FunctionCallView) []byte { return AppendFunctionCall(dst, &v) },
			&pgproto3.FunctionCall{},
			&pgproto3.FunctionCall{
				Function: 7, ArgFormatCodes: []uint16{1}, Arguments: [][]byte{nil, []byte("a")}, ResultFormatCode: 1,
			}),
		formatFor(Parse, ViewParse, func(dst []byte, v ParseView) []byte { return AppendParse(dst, v.Name, v.SQL, v.Types) },
			&pgproto3.Parse{}, &pgproto3.Parse{Name: "n", Query: string(long), ParameterOIDs: []uint32{0, 25, 1 << 31}}),
		formatFor(Password, ViewPassword, func(dst []byte, v PasswordView) []byte { return AppendPassword(dst, v.Password) },
			&pgproto3.PasswordMessage{}, &pgproto3.PasswordMessage{Password: "secret"}),
		formatFor(Query, ViewQuery, func(dst []byte, v QueryView) []byte { return AppendQuery(dst, v.SQL) },
			&pgproto3.Query{}, &pgproto3.Query{String: "select 1"}),
	}
}

func formatsWithoutBody() []format {
	return []format{
		formatWithoutBody(CopyDone, AppendCopyDone, &pgproto3.CopyDone{}),
		formatWithoutBody(Flush, AppendFlush, &pgproto3.Flush{}),
		formatWithoutBody(Sync, AppendSync, &pgproto3.Sync{}),
		formatWithoutBody(Terminate, AppendTerminate, &pgproto3.Terminate{}),
		formatWithoutBody(BindComplete, AppendBindComplete, &pgproto3.BindComplete{}),
		formatWithoutBody(CloseComplete, AppendCloseComplete, &pgproto3.CloseComplete{}),
		formatWithoutBody(EmptyQueryResponse, AppendEmptyQueryResponse, &pgproto3.EmptyQueryResponse{}),
		formatWithoutBody(NoData, AppendNoData, &pgproto3.NoData{}),
		formatWithoutBody(ParseComplete, AppendParseComplete, &pgproto3.ParseComplete{}),
		formatWithoutBody(PortalSuspended, AppendPortalSuspended, &pgproto3.PortalSuspended{}),
	}
}

// refused are bodies that no view may accept. The tests also make such bodies by cutting good ones short.
var refused = map[Kind][]string{
	Bind: {
		"\x00\x00\x00\x00\x00\x01\xff\xff\xff\xfe\x00\x00", // a value of length -2
		"\x00\x00\x00\x00\x00\x01\x7f\xff\xff\xff\x00\x00", // a value of 2 GB
		"\x00\x00\xff\xff\x00\x00\x00\x00",                 // 65535 formats
	},
	Close:                    {"X\x00", "\x00\x00"},
	Describe:                 {"X\x00", "S", "Sname\x00name\x00"},
	Parse:                    {"\x00\x00\xff\xff\x00\x00\x00\x19"},
	Query:                    {"select 1\x00; drop table t\x00", "select 1\x00\x00"},
	BackendKeyData:           {"1234567", string(make([]byte, 4+257))},
	CopyInResponse:           {"\x02\x00\x00", "\x00\x00\x01\x00"},
	DataRow:                  {"\x00\x01\xff\xff\xff\xfe", "\xff\xff\xff\xff\xff\xff"},
	FunctionCallResponse:     {"\xff\xff\xff\xfe", "\xff\xff\xff\xffx"},
	NegotiateProtocolVersion: {"\x00\x03\x00\x00\x7f\xff\xff\xff", "\x00\x03\x00\x00\xff\xff\xff\xff"},
	ReadyForQuery:            {"X", "\x00"},
	Authentication: {
		"\x00\x00\x00\x00x", "\x00\x00\x00\x03x", "\x00\x00\x00\x05123", "\x00\x00\x00\x0512345",
		"\x00\x00\x00\x0a", "\x00\x00\x00\x0aSCRAM-SHA-256\x00", "\x00\x00\x00\x0aa\x00\x00b",
		"\x00\x00\x00\x0a\x00\x00", "\x00\x00\x00\x01", "\xff\xff\xff\xff",
	},
}
