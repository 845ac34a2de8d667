// Package querylog is what the operator's log is told of clients' statements:
// log_statement, log_client_messages, log_per_node_statement. The words of a line are a
// function of the message and of those before it; a Writer brings lines to the log.
package querylog

// Tells says what is told of a client's statements.
type Tells uint8

const (
	Statements  Tells = 1 << iota // log_statement
	Nodes                         // log_per_node_statement
	NodeNotices                   // notice_per_node_statement
	Messages                      // log_client_messages
)

// Has says that one of these is told.
func (t Tells) Has(any Tells) bool { return t&any != 0 }

// Line is a line for the operator's log, of one client. It has what the client sent
// as it is, constants and all; of a message that comes in pieces, which are of more
// than wire.WholeLimit bytes, the beginning.
type Line struct {
	Application, User, Database, Host, Port string
	Message, Detail                         string
}
