// Package querylog makes the lines about clients' statements in the operator's log, for
// log_statement, log_client_messages and log_per_node_statement. The text of a line is a pure
// function of the message and of those before it. A Writer writes the lines to the log.
package querylog

// Tells says what the log and the client are told of the client's statements. Each bit is a
// parameter.
type Tells uint8

const (
	Statements  Tells = 1 << iota // log_statement
	Nodes                         // log_per_node_statement
	NodeNotices                   // notice_per_node_statement
	Messages                      // log_client_messages
)

// Has says that at least one of these bits is set.
func (t Tells) Has(any Tells) bool { return t&any != 0 }

// Line is a line about one client for the operator's log. It has what the client has sent as it is,
// with all constants. Of a message of more than wire.WholeLimit bytes it has the beginning.
type Line struct {
	Application, User, Database, Host, Port string
	Message, Detail                         string
}
