package wire

import (
	"bytes"

	"github.com/jackc/pgx/v5/pgproto3"
)

// formats is the table of all messages that have views, samples included.
func formats() []format { return append(requestFormats(), replyFormats()...) }

func requestFormats() []format {
	long := bytes.Repeat([]byte("x"), 300)
	return []format{
		{kind: Bind, rebuild: func(b []byte) ([]byte, error) {
			v, err := ViewBind(b)
			return AppendBind(nil, &v), err
		},
			look:   func(b []byte) error { _, err := ViewBind(b); return err },
			theirs: func() message3 { return &pgproto3.Bind{} },
			samples: []message3{
				&pgproto3.Bind{},
				&pgproto3.Bind{
					DestinationPortal: "portal", PreparedStatement: "statement",
					ParameterFormatCodes: []int16{0, 1, 1}, Parameters: [][]byte{long, nil, {}},
					ResultFormatCodes: []int16{1, 0},
				},
			},
			bad: []string{
				"\x00\x00\x00\x00\x00\x01\xff\xff\xff\xfe\x00\x00", // a value of length -2
				"\x00\x00\x00\x00\x00\x01\x7f\xff\xff\xff\x00\x00", // a value of 2 GB
				"\x00\x00\xff\xff\x00\x00\x00\x00",
			}},
		{kind: Parse, rebuild: func(b []byte) ([]byte, error) {
			v, err := ViewParse(b)
			return AppendParse(nil, v.Name, v.SQL, v.Types), err
		},
			look:   func(b []byte) error { _, err := ViewParse(b); return err },
			theirs: func() message3 { return &pgproto3.Parse{} },
			samples: []message3{
				&pgproto3.Parse{},
				&pgproto3.Parse{Name: "n", Query: string(long), ParameterOIDs: []uint32{0, 25, 1 << 31}},
			},
			bad: []string{"\x00\x00\xff\xff\x00\x00\x00\x19"}},
		{kind: Describe, rebuild: func(b []byte) ([]byte, error) {
			v, err := ViewDescribe(b)
			return AppendDescribe(nil, v.What, v.Name), err
		},
			look:    func(b []byte) error { _, err := ViewDescribe(b); return err },
			theirs:  func() message3 { return &pgproto3.Describe{} },
			samples: []message3{&pgproto3.Describe{ObjectType: 'S', Name: "s"}, &pgproto3.Describe{ObjectType: 'P'}},
			bad:     []string{"X\x00", "S", "Sname\x00name\x00"}},
		{kind: Close, rebuild: func(b []byte) ([]byte, error) {
			v, err := ViewClose(b)
			return AppendClose(nil, v.What, v.Name), err
		},
			look:    func(b []byte) error { _, err := ViewClose(b); return err },
			theirs:  func() message3 { return &pgproto3.Close{} },
			samples: []message3{&pgproto3.Close{ObjectType: 'S', Name: "s"}, &pgproto3.Close{ObjectType: 'P'}},
			bad:     []string{"X\x00", "\x00\x00"}},
		{kind: Execute, rebuild: func(b []byte) ([]byte, error) {
			v, err := ViewExecute(b)
			return AppendExecute(nil, v.Portal, v.MaxRows), err
		},
			look:    func(b []byte) error { _, err := ViewExecute(b); return err },
			theirs:  func() message3 { return &pgproto3.Execute{} },
			samples: []message3{&pgproto3.Execute{}, &pgproto3.Execute{Portal: "p", MaxRows: 1 << 31}}},
		{kind: Query, rebuild: func(b []byte) ([]byte, error) {
			v, err := ViewQuery(b)
			return AppendQuery(nil, v.SQL), err
		},
			look:    func(b []byte) error { _, err := ViewQuery(b); return err },
			theirs:  func() message3 { return &pgproto3.Query{} },
			samples: []message3{&pgproto3.Query{}, &pgproto3.Query{String: "select 1"}},
			bad:     []string{"select 1\x00; drop table t\x00", "select 1\x00\x00"}},
		{kind: FunctionCall, rebuild: func(b []byte) ([]byte, error) {
			v, err := ViewFunctionCall(b)
			return AppendFunctionCall(nil, &v), err
		},
			look:   func(b []byte) error { _, err := ViewFunctionCall(b); return err },
			theirs: func() message3 { return &pgproto3.FunctionCall{} },
			samples: []message3{
				&pgproto3.FunctionCall{},
				&pgproto3.FunctionCall{
					Function: 7, ArgFormatCodes: []uint16{1}, Arguments: [][]byte{nil, []byte("a")}, ResultFormatCode: 1,
				},
			}},
		{kind: CopyFail, rebuild: func(b []byte) ([]byte, error) {
			v, err := ViewCopyFail(b)
			return AppendCopyFail(nil, v.Reason), err
		},
			look:    func(b []byte) error { _, err := ViewCopyFail(b); return err },
			theirs:  func() message3 { return &pgproto3.CopyFail{} },
			samples: []message3{&pgproto3.CopyFail{}, &pgproto3.CopyFail{Message: "no"}}},
		{kind: Password, rebuild: func(b []byte) ([]byte, error) {
			v, err := ViewPassword(b)
			return AppendPassword(nil, v.Password), err
		},
			look:    func(b []byte) error { _, err := ViewPassword(b); return err },
			theirs:  func() message3 { return &pgproto3.PasswordMessage{} },
			samples: []message3{&pgproto3.PasswordMessage{}, &pgproto3.PasswordMessage{Password: "secret"}}},
		bodylessFormat(CopyDone, AppendCopyDone, func() message3 { return &pgproto3.CopyDone{} }),
		bodylessFormat(Flush, AppendFlush, func() message3 { return &pgproto3.Flush{} }),
		bodylessFormat(Sync, AppendSync, func() message3 { return &pgproto3.Sync{} }),
		bodylessFormat(Terminate, AppendTerminate, func() message3 { return &pgproto3.Terminate{} }),
	}
}
