package session

// Tells says what is told of a client's statements.
type Tells uint8

const (
	LogStatements Tells = 1 << iota // log_statement
	LogNodes                        // log_per_node_statement
	NoticeNodes                     // notice_per_node_statement
	LogMessages                     // log_client_messages
)

// Line is a line for the operator's log, of one client. It has what the client sent
// as it is, constants and all.
type Line struct {
	Application, User, Database, Host, Port string
	Message, Detail                         string
}
