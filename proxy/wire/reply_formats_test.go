package wire

import (
	"bytes"
	"slices"

	"github.com/jackc/pgx/v5/pgproto3"
)

func replyFormats() []format {
	return slices.Concat(rowFormats(), []format{
		formatFor(BackendKeyData, ViewBackendKeyData,
			func(dst []byte, v BackendKeyDataView) []byte { return AppendBackendKeyData(dst, v.PID, v.Key) },
			&pgproto3.BackendKeyData{ProcessID: 7, SecretKey: []byte("1234")},
			&pgproto3.BackendKeyData{ProcessID: 7, SecretKey: make([]byte, 256)}),
		formatFor(CommandComplete, ViewCommandComplete,
			func(dst []byte, v CommandCompleteView) []byte { return AppendCommandComplete(dst, v.Tag) },
			&pgproto3.CommandComplete{CommandTag: []byte("SELECT 1")}),
		formatOfCopy(CopyInResponse, AppendCopyInResponse,
			&pgproto3.CopyInResponse{}, &pgproto3.CopyInResponse{OverallFormat: 1, ColumnFormatCodes: []uint16{1, 0}}),
		formatOfCopy(CopyOutResponse, AppendCopyOutResponse,
			&pgproto3.CopyOutResponse{}, &pgproto3.CopyOutResponse{ColumnFormatCodes: []uint16{0}}),
		formatOfCopy(CopyBothResponse, AppendCopyBothResponse,
			&pgproto3.CopyBothResponse{}, &pgproto3.CopyBothResponse{ColumnFormatCodes: []uint16{0}}),
		formatFor(NegotiateProtocolVersion, ViewNegotiateProtocolVersion,
			func(dst []byte, v NegotiateProtocolVersionView) []byte {
				return AppendNegotiateProtocolVersion(dst, v.Newest, MakeTexts(texts(v.Options)...))
			},
			&pgproto3.NegotiateProtocolVersion{NewestMinorProtocol: Protocol30},
			&pgproto3.NegotiateProtocolVersion{UnrecognizedOptions: []string{"_pq_.a", ""}}),
		formatFor(NotificationResponse, ViewNotificationResponse,
			func(dst []byte, v NotificationResponseView) []byte {
				return AppendNotificationResponse(dst, v.PID, v.Channel, v.Payload)
			},
			&pgproto3.NotificationResponse{PID: 1, Channel: "c", Payload: "p"}),
		formatFor(ParameterStatus, ViewParameterStatus,
			func(dst []byte, v ParameterStatusView) []byte { return AppendParameterStatus(dst, v.Name, v.Value) },
			&pgproto3.ParameterStatus{Name: "TimeZone", Value: "UTC"}),
		formatFor(ReadyForQuery, ViewReadyForQuery,
			func(dst []byte, v ReadyForQueryView) []byte { return AppendReadyForQuery(dst, v.State) },
			&pgproto3.ReadyForQuery{TxStatus: Idle}, &pgproto3.ReadyForQuery{TxStatus: InTransaction},
			&pgproto3.ReadyForQuery{TxStatus: Failed}),
	})
}

func rowFormats() []format {
	return []format{
		formatFor(DataRow, ViewDataRow,
			func(dst []byte, v DataRowView) []byte {
				return AppendDataRow(dst, slices.Collect(v.Values.All())...)
			},
			&pgproto3.DataRow{}, &pgproto3.DataRow{Values: [][]byte{nil, {}, bytes.Repeat([]byte{0}, 100)}}),
		formatFor(FunctionCallResponse, ViewFunctionCallResponse,
			func(dst []byte, v FunctionCallResponseView) []byte { return AppendFunctionCallResponse(dst, v.Value) },
			&pgproto3.FunctionCallResponse{}, &pgproto3.FunctionCallResponse{Result: []byte("r")}),
		formatFor(ParameterDescription, ViewParameterDescription,
			func(dst []byte, v ParameterDescriptionView) []byte { return AppendParameterDescription(dst, v.Types) },
			&pgproto3.ParameterDescription{}, &pgproto3.ParameterDescription{ParameterOIDs: []uint32{23}}),
		formatFor(RowDescription, ViewRowDescription,
			func(dst []byte, v RowDescriptionView) []byte {
				return AppendRowDescription(dst, slices.Collect(v.Columns.All())...)
			},
			&pgproto3.RowDescription{},
			&pgproto3.RowDescription{Fields: []pgproto3.FieldDescription{{}, {
				Name: []byte("n"), TableOID: 1 << 31, TableAttributeNumber: 2, DataTypeOID: 3,
				DataTypeSize: -1, TypeModifier: -2, Format: 1,
			}}}),
	}
}

func texts(t Texts) (all []string) {
	for text := range t.All() {
		all = append(all, string(text))
	}
	return all
}
