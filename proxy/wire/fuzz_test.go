package wire

import (
	"bytes"
	"errors"
	"testing"
)

func FuzzBind(f *testing.F)                     { fuzz(f, Bind) }
func FuzzClose(f *testing.F)                    { fuzz(f, Close) }
func FuzzCopyFail(f *testing.F)                 { fuzz(f, CopyFail) }
func FuzzDescribe(f *testing.F)                 { fuzz(f, Describe) }
func FuzzExecute(f *testing.F)                  { fuzz(f, Execute) }
func FuzzFunctionCall(f *testing.F)             { fuzz(f, FunctionCall) }
func FuzzParse(f *testing.F)                    { fuzz(f, Parse) }
func FuzzPassword(f *testing.F)                 { fuzz(f, Password) }
func FuzzQuery(f *testing.F)                    { fuzz(f, Query) }
func FuzzAuthentication(f *testing.F)           { fuzz(f, Authentication) }
func FuzzBackendKeyData(f *testing.F)           { fuzz(f, BackendKeyData) }
func FuzzCommandComplete(f *testing.F)          { fuzz(f, CommandComplete) }
func FuzzCopyResponse(f *testing.F)             { fuzz(f, CopyInResponse) }
func FuzzDataRow(f *testing.F)                  { fuzz(f, DataRow) }
func FuzzFunctionCallResponse(f *testing.F)     { fuzz(f, FunctionCallResponse) }
func FuzzNegotiateProtocolVersion(f *testing.F) { fuzz(f, NegotiateProtocolVersion) }
func FuzzNotificationResponse(f *testing.F)     { fuzz(f, NotificationResponse) }
func FuzzParameterDescription(f *testing.F)     { fuzz(f, ParameterDescription) }
func FuzzParameterStatus(f *testing.F)          { fuzz(f, ParameterStatus) }
func FuzzReadyForQuery(f *testing.F)            { fuzz(f, ReadyForQuery) }
func FuzzRowDescription(f *testing.F)           { fuzz(f, RowDescription) }

// fuzz checks the views of one kind. No body makes them panic; a body that they accept is built again byte for byte; and
// they accept any body that pgproto3 reads and writes back unchanged, unless a code in it is wrong.
func fuzz(f *testing.F, k Kind) {
	format := formatOf(k)
	for _, sample := range format.samples {
		bytes, _ := sample.Encode(nil)
		f.Add(bytes[HeaderLen:])
	}
	for _, bad := range refused[k] {
		f.Add([]byte(bad))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		built, err := format.rebuild(body)
		if err == nil && !bytes.Equal(built[HeaderLen:], body) {
			t.Fatalf("accepted %q, built %q", body, built[HeaderLen:])
		}
		if err != nil && format.canonical(body) && !wrongCode(err) {
			t.Fatalf("got error %v, but pgproto3 reads %q", err, body)
		}
	})
}

func formatOf(k Kind) format {
	for _, f := range formats() {
		if f.kind == k {
			return f
		}
	}
	panic("no such format")
}

// canonical says that pgproto3 reads body and writes it back unchanged.
func (f format) canonical(body []byte) bool {
	m := f.theirs()
	if m.Decode(body) != nil {
		return false
	}
	again, err := m.Encode(nil)
	return err == nil && bytes.Equal(again[HeaderLen:], body)
}

// wrongCode says that the layout is right, but the code is wrong, at which pgproto3 does not look.
func wrongCode(err error) bool {
	wrong, ok := errors.AsType[*ViewError](err)
	return ok && (wrong.Cause == "invalid type byte" || wrong.Cause == "invalid length of the key")
}

func FuzzSASLInitialResponse(f *testing.F) {
	f.Add(AppendSASLInitialResponse(nil, "SCRAM-SHA-256", Secret("n,,n=,r=x"))[HeaderLen:])
	f.Add(AppendSASLInitialResponse(nil, "", nil)[HeaderLen:])
	f.Fuzz(func(t *testing.T, body []byte) {
		v, err := ViewSASLInitialResponse(body)
		if built := AppendSASLInitialResponse(nil, v.Mechanism, v.Data); err == nil && !bytes.Equal(built[HeaderLen:], body) {
			t.Fatalf("accepted %q, built %q", body, built)
		}
	})
}

func FuzzFault(f *testing.F) {
	f.Add(AppendError(nil, &Fault{Severity: "FATAL", Code: "57P03", Message: "m", Detail: "d", Hint: "h"})[HeaderLen:])
	f.Add([]byte("Sx\x00V"))
	f.Fuzz(func(t *testing.T, body []byte) {
		fault := ViewFault(body)
		if again := ViewFault(AppendNotice(nil, &fault)[HeaderLen:]); again != fault {
			t.Fatalf("%+v became %+v", fault, again)
		}
	})
}

func FuzzFirst(f *testing.F) {
	startup, _ := AppendStartup(nil, Protocol30, Param{"user", "u"}, Param{"_pq_.x", "1"}, Param{"database", "d"})
	for _, packet := range [][]byte{
		startup, AppendSSLRequest(nil), AppendGSSENCRequest(nil), AppendCancelRequest(nil, 1, Secret("1234")),
	} {
		f.Add(packet[4:])
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		first, err := ViewFirst(body)
		if err != nil || len(first.Options) > 0 && len(first.Params) > 0 { // their order is not kept
			return
		}
		if built := rebuildFirst(t, &first); !bytes.Equal(built[4:], body) {
			t.Fatalf("accepted %q, built %q", body, built)
		}
	})
}

func rebuildFirst(t *testing.T, first *First) []byte {
	switch first.Kind {
	case FirstSSLRequest:
		return AppendSSLRequest(nil)
	case FirstGSSENCRequest:
		return AppendGSSENCRequest(nil)
	case FirstCancelRequest:
		return AppendCancelRequest(nil, first.PID, first.Key)
	}
	built, err := AppendStartup(nil, first.Protocol, append(first.Params, first.Options...)...)
	if err != nil {
		t.Fatal(err)
	}
	return built
}
