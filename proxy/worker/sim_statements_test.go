package worker

import (
	"strings"

	"pgherd/proxy/query"
)

// simStatements parses the simulation's statements.
type simStatements struct{}

func (c simStatements) Shaped(sql []byte, syntax query.Syntax) (*query.Script, bool) {
	script := c.Shape(sql, syntax)
	return script, !strings.Contains(script.Text, " ROWS ") || len(sql)%2 == 1
}

func (simStatements) Shape(sql []byte, syntax query.Syntax) *query.Script {
	words := append(strings.Fields(string(sql)), "", "", "")
	st := query.Statement{Kind: query.Select, Class: query.Read}
	switch words[1] {
	case "SET":
		st = query.Statement{Kind: query.Set, Class: query.Session, Name: "param", Value: words[2]}
	case "STYLE":
		st = query.Statement{Kind: query.Set, Class: query.Session, Name: "datestyle", Value: words[2]}
	case "LOCAL":
		st = query.Statement{Kind: query.Set, Class: query.Session, Name: "param", Value: words[2], Local: true}
	case "BEGIN":
		st = query.Statement{Kind: query.Begin, Class: query.Control}
	case "COMMIT":
		st = query.Statement{Kind: query.Commit, Class: query.Control}
	case "ROLLBACK":
		st = query.Statement{Kind: query.Rollback, Class: query.Control}
	case "WRITE":
		st = query.Statement{Kind: query.Insert, Class: query.Write}
	case "COPYIN":
		st = query.Statement{Kind: query.CopyIn, Class: query.Write}
	case "FUNC": // it may, as a function may, change anything for which a server can be asked
		st = query.Statement{Kind: query.ResetAll, Class: query.Session}
	case "TEMP":
		st = query.Statement{Kind: query.CreateTableAs, Class: query.Write, Effects: query.TempTable}
	case "DROP":
		st = query.Statement{Kind: query.CloseAll, Class: query.Session}
	case "DEFINE": // it changes what f does
		st = query.Statement{Kind: query.DDL, Class: query.Write, Effects: query.Writes, Objects: []string{"f"}}
	case "RUN":
		st.Functions = []query.Function{{Name: "g", Volatile: true}} // g calls f
		st.Effects = query.UnknownFunction
	case "ALL":
		st = query.Statement{Kind: query.DiscardAll, Class: query.Session}
	}
	return &query.Script{Text: string(sql), Syntax: syntax, Statements: []query.Statement{st}}
}
