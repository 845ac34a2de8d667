package wire

import (
	"bytes"
	"slices"

	"github.com/jackc/pgx/v5/pgproto3"
)

func replyFormats() []format {
	return []format{
		{kind: BackendKeyData, rebuild: func(b []byte) ([]byte, error) {
			v, err := ViewBackendKeyData(b)
			return AppendBackendKeyData(nil, v.PID, v.Key), err
		},
			look:   func(b []byte) error { _, err := ViewBackendKeyData(b); return err },
			theirs: func() message3 { return &pgproto3.BackendKeyData{} },
			samples: []message3{
				&pgproto3.BackendKeyData{ProcessID: 7, SecretKey: []byte("1234")},
				&pgproto3.BackendKeyData{ProcessID: 7, SecretKey: make([]byte, 256)},
			},
			bad: []string{"1234567", string(make([]byte, 4+257))}},
		{kind: CommandComplete, rebuild: func(b []byte) ([]byte, error) {
			v, err := ViewCommandComplete(b)
			return AppendCommandComplete(nil, v.Tag), err
		},
			look:    func(b []byte) error { _, err := ViewCommandComplete(b); return err },
			theirs:  func() message3 { return &pgproto3.CommandComplete{} },
			samples: []message3{&pgproto3.CommandComplete{CommandTag: []byte("SELECT 1")}}},
		copyFormat(CopyInResponse, AppendCopyInResponse, func() message3 { return &pgproto3.CopyInResponse{} },
			&pgproto3.CopyInResponse{}, &pgproto3.CopyInResponse{OverallFormat: 1, ColumnFormatCodes: []uint16{1, 0}}),
		copyFormat(CopyOutResponse, AppendCopyOutResponse, func() message3 { return &pgproto3.CopyOutResponse{} },
			&pgproto3.CopyOutResponse{}, &pgproto3.CopyOutResponse{ColumnFormatCodes: []uint16{0}}),
		copyFormat(CopyBothResponse, AppendCopyBothResponse, func() message3 { return &pgproto3.CopyBothResponse{} },
			&pgproto3.CopyBothResponse{}, &pgproto3.CopyBothResponse{ColumnFormatCodes: []uint16{0}}),
		{kind: DataRow, rebuild: func(b []byte) ([]byte, error) {
			v, err := ViewDataRow(b)
			return AppendDataRow(nil, slices.Collect(v.Values.All())...), err
		},
			look:   func(b []byte) error { _, err := ViewDataRow(b); return err },
			theirs: func() message3 { return &pgproto3.DataRow{} },
			samples: []message3{
				&pgproto3.DataRow{},
				&pgproto3.DataRow{Values: [][]byte{nil, {}, bytes.Repeat([]byte{0}, 100)}},
			},
			bad: []string{"\x00\x01\xff\xff\xff\xfe", "\xff\xff\xff\xff\xff\xff"}},
		{kind: FunctionCallResponse, rebuild: func(b []byte) ([]byte, error) {
			v, err := ViewFunctionCallResponse(b)
			return AppendFunctionCallResponse(nil, v.Value), err
		},
			look:    func(b []byte) error { _, err := ViewFunctionCallResponse(b); return err },
			theirs:  func() message3 { return &pgproto3.FunctionCallResponse{} },
			samples: []message3{&pgproto3.FunctionCallResponse{}, &pgproto3.FunctionCallResponse{Result: []byte("r")}},
			bad:     []string{"\xff\xff\xff\xfe", "\xff\xff\xff\xffx"}},
		{kind: NegotiateProtocolVersion, rebuild: func(b []byte) ([]byte, error) {
			v, err := ViewNegotiateProtocolVersion(b)
			return AppendNegotiateProtocolVersion(nil, v.Newest, MakeTexts(texts(v.Options)...)), err
		},
			look:   func(b []byte) error { _, err := ViewNegotiateProtocolVersion(b); return err },
			theirs: func() message3 { return &pgproto3.NegotiateProtocolVersion{} },
			samples: []message3{
				&pgproto3.NegotiateProtocolVersion{NewestMinorProtocol: Protocol30},
				&pgproto3.NegotiateProtocolVersion{UnrecognizedOptions: []string{"_pq_.a", ""}},
			},
			bad: []string{"\x00\x03\x00\x00\x7f\xff\xff\xff", "\x00\x03\x00\x00\xff\xff\xff\xff"}},
		{kind: NotificationResponse, rebuild: func(b []byte) ([]byte, error) {
			v, err := ViewNotificationResponse(b)
			return AppendNotificationResponse(nil, v.PID, v.Channel, v.Payload), err
		},
			look:    func(b []byte) error { _, err := ViewNotificationResponse(b); return err },
			theirs:  func() message3 { return &pgproto3.NotificationResponse{} },
			samples: []message3{&pgproto3.NotificationResponse{PID: 1, Channel: "c", Payload: "p"}}},
		{kind: ParameterDescription, rebuild: func(b []byte) ([]byte, error) {
			v, err := ViewParameterDescription(b)
			return AppendParameterDescription(nil, v.Types), err
		},
			look:    func(b []byte) error { _, err := ViewParameterDescription(b); return err },
			theirs:  func() message3 { return &pgproto3.ParameterDescription{} },
			samples: []message3{&pgproto3.ParameterDescription{}, &pgproto3.ParameterDescription{ParameterOIDs: []uint32{23}}}},
		{kind: ParameterStatus, rebuild: func(b []byte) ([]byte, error) {
			v, err := ViewParameterStatus(b)
			return AppendParameterStatus(nil, v.Name, v.Value), err
		},
			look:    func(b []byte) error { _, err := ViewParameterStatus(b); return err },
			theirs:  func() message3 { return &pgproto3.ParameterStatus{} },
			samples: []message3{&pgproto3.ParameterStatus{Name: "TimeZone", Value: "UTC"}}},
		{kind: ReadyForQuery, rebuild: func(b []byte) ([]byte, error) {
			v, err := ViewReadyForQuery(b)
			return AppendReadyForQuery(nil, v.State), err
		},
			look:   func(b []byte) error { _, err := ViewReadyForQuery(b); return err },
			theirs: func() message3 { return &pgproto3.ReadyForQuery{} },
			samples: []message3{
				&pgproto3.ReadyForQuery{TxStatus: Idle}, &pgproto3.ReadyForQuery{TxStatus: InTransaction},
				&pgproto3.ReadyForQuery{TxStatus: Failed},
			},
			bad: []string{"X", "\x00"}},
		{kind: RowDescription, rebuild: func(b []byte) ([]byte, error) {
			v, err := ViewRowDescription(b)
			return AppendRowDescription(nil, slices.Collect(v.Columns.All())...), err
		},
			look:   func(b []byte) error { _, err := ViewRowDescription(b); return err },
			theirs: func() message3 { return &pgproto3.RowDescription{} },
			samples: []message3{
				&pgproto3.RowDescription{},
				&pgproto3.RowDescription{Fields: []pgproto3.FieldDescription{{}, {
					Name: []byte("n"), TableOID: 1 << 31, TableAttributeNumber: 2, DataTypeOID: 3,
					DataTypeSize: -1, TypeModifier: -2, Format: 1,
				}}},
			}},
		authenticationFormat(),
		bodylessFormat(BindComplete, AppendBindComplete, func() message3 { return &pgproto3.BindComplete{} }),
		bodylessFormat(CloseComplete, AppendCloseComplete, func() message3 { return &pgproto3.CloseComplete{} }),
		bodylessFormat(EmptyQueryResponse, AppendEmptyQueryResponse, func() message3 { return &pgproto3.EmptyQueryResponse{} }),
		bodylessFormat(NoData, AppendNoData, func() message3 { return &pgproto3.NoData{} }),
		bodylessFormat(ParseComplete, AppendParseComplete, func() message3 { return &pgproto3.ParseComplete{} }),
		bodylessFormat(PortalSuspended, AppendPortalSuspended, func() message3 { return &pgproto3.PortalSuspended{} }),
	}
}

func texts(t Texts) (all []string) {
	for text := range t.All() {
		all = append(all, string(text))
	}
	return all
}
