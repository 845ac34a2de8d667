package wiretest

import (
	"slices"

	"pgherd/proxy/wire"
)

func request(kind wire.Kind, build func([]byte, *fields) []byte, read func([]byte) ([]word, error)) message {
	return message{name: kind.String(), side: Client, kind: kind, build: build, read: read}
}

var requests = []message{
	request(wire.Bind, buildBind, readBind),
	request(wire.Close,
		func(dst []byte, f *fields) []byte { return wire.AppendClose(dst, f.letter("SP"), f.text()) },
		func(body []byte) ([]word, error) {
			v, err := wire.ViewClose(body)
			return []word{text([]byte{v.What}), text(v.Name)}, err
		}),
	data(Client, "CopyData", wire.CopyData, wire.AppendCopyData[string]),
	bodyless(Client, wire.CopyDone, wire.AppendCopyDone),
	request(wire.CopyFail,
		func(dst []byte, f *fields) []byte { return wire.AppendCopyFail(dst, f.text()) },
		func(body []byte) ([]word, error) {
			v, err := wire.ViewCopyFail(body)
			return []word{text(v.Reason)}, err
		}),
	request(wire.Describe,
		func(dst []byte, f *fields) []byte { return wire.AppendDescribe(dst, f.letter("SP"), f.text()) },
		func(body []byte) ([]word, error) {
			v, err := wire.ViewDescribe(body)
			return []word{text([]byte{v.What}), text(v.Name)}, err
		}),
	request(wire.Execute,
		func(dst []byte, f *fields) []byte { return wire.AppendExecute(dst, f.text(), int32(f.integer(32))) },
		func(body []byte) ([]word, error) {
			v, err := wire.ViewExecute(body)
			return []word{text(v.Portal), number(v.MaxRows)}, err
		}),
	bodyless(Client, wire.Flush, wire.AppendFlush),
	request(wire.FunctionCall, buildFunctionCall, readFunctionCall),
	request(wire.Parse,
		func(dst []byte, f *fields) []byte { return wire.AppendParse(dst, f.text(), f.text(), f.oids()) },
		func(body []byte) ([]word, error) {
			v, err := wire.ViewParse(body)
			return slices.Concat([]word{text(v.Name), text(v.SQL)}, oids(v.Types)), err
		}),
	request(wire.Password,
		func(dst []byte, f *fields) []byte { return wire.AppendPassword(dst, f.text()) },
		func(body []byte) ([]word, error) {
			v, err := wire.ViewPassword(body)
			return []word{text(v.Password)}, err
		}),
	request(wire.Query,
		func(dst []byte, f *fields) []byte { return wire.AppendQuery(dst, f.text()) },
		func(body []byte) ([]word, error) {
			v, err := wire.ViewQuery(body)
			return []word{text(v.SQL)}, err
		}),
	{
		name: "SASLInitialResponse", side: Client, kind: wire.Password,
		build: func(dst []byte, f *fields) []byte {
			return wire.AppendSASLInitialResponse(dst, f.text(), wire.Secret(f.text()))
		},
		read: func(body []byte) ([]word, error) {
			v, err := wire.ViewSASLInitialResponse(body)
			return []word{text(v.Mechanism), value(v.Data)}, err
		},
	},
	data(Client, "SASLResponse", wire.Password, func(dst []byte, s string) []byte {
		return wire.AppendSASLResponse(dst, wire.Secret(s))
	}),
	bodyless(Client, wire.Sync, wire.AppendSync),
	bodyless(Client, wire.Terminate, wire.AppendTerminate),
}

func buildBind(dst []byte, f *fields) []byte {
	v := wire.BindView{Portal: []byte(f.text()), Statement: []byte(f.text()), Formats: f.formats("in")}
	v.Params = wire.MakeValues(f.values()...)
	v.ResultFormats = f.formats("out")
	return wire.AppendBind(dst, &v)
}

func readBind(body []byte) ([]word, error) {
	v, err := wire.ViewBind(body)
	return slices.Concat([]word{text(v.Portal), text(v.Statement)},
		formats("in", v.Formats), values(v.Params), formats("out", v.ResultFormats)), err
}

func buildFunctionCall(dst []byte, f *fields) []byte {
	v := wire.FunctionCallView{Function: uint32(f.integer(32)), Formats: f.formats("in")}
	v.Args = wire.MakeValues(f.values()...)
	if out := f.formats("out"); out.Len() == 1 {
		v.ResultFormat = out.At(0)
	}
	return wire.AppendFunctionCall(dst, &v)
}

func readFunctionCall(body []byte) ([]word, error) {
	v, err := wire.ViewFunctionCall(body)
	out := wire.Formats(nil)
	if v.ResultFormat != 0 {
		out = wire.MakeFormats(v.ResultFormat)
	}
	return slices.Concat([]word{number(v.Function)}, formats("in", v.Formats), values(v.Args), formats("out", out)), err
}
