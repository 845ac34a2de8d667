package wire

// Kind is what a message is. Request kinds are sent by clients, reply kinds
// by servers; CopyData and CopyDone go both ways and have a Kind for each.
type Kind uint8

// The kinds. Authentication traffic ('p' and 'R') is done before a session
// begins; inside one it is a violation of the protocol.
const (
	Unknown Kind = iota

	Bind
	Close
	CopyData // from the client
	CopyDone // from the client
	CopyFail
	Describe
	Execute
	Flush
	FunctionCall
	Parse
	Password // also GSSResponse, SASLInitialResponse and SASLResponse
	Query
	Sync
	Terminate

	Authentication
	BackendKeyData
	BindComplete
	CloseComplete
	CommandComplete
	CopyBothResponse
	CopyInResponse
	CopyOutResponse
	CopyRow // CopyData from the server
	CopyEnd // CopyDone from the server
	DataRow
	EmptyQueryResponse
	ErrorResponse
	FunctionCallResponse
	NegotiateProtocolVersion
	NoData
	NoticeResponse
	NotificationResponse
	ParameterDescription
	ParameterStatus
	ParseComplete
	PortalSuspended
	ReadyForQuery
	RowDescription

	kinds
)

// Kinds is a set of kinds.
type Kinds uint64

// Of makes a set.
func Of(kinds ...Kind) (set Kinds) {
	for _, k := range kinds {
		set |= 1 << k
	}
	return set
}

// Has says whether k is in the set.
func (s Kinds) Has(k Kind) bool { return s&(1<<k) != 0 }

// Longest bodies that PostgreSQL itself accepts or that libpq does.
const (
	smallRequest = 10_000        // PostgreSQL's PQ_SMALL_MESSAGE_LIMIT
	smallReply   = 30_000        // what libpq allows for kinds that are never long
	large        = 1<<30 - 1 - 4 // MaxAllocSize, less the length word
)

// meaning is a row of the table.
type meaning struct {
	name     string
	tag      byte // the type byte
	request  bool // sent by a client; else by a server
	min, max int  // length of the body in bytes; PostgreSQL itself refuses a request that is too short
	whole    bool // a session looks into the body
	asks     bool // request: the server owes a reply for it
	within   Kinds
	settles  Kinds
}

// anywhere: the reply may come at any time, owed or not.
const anywhere = ^Kinds(0)

var (
	rows   = Of(Query, Execute) // requests that may return rows or copy data
	rounds = Of(Query, Sync, FunctionCall)
)

// meanings is the table. within are the owed requests during which a reply may
// come; settles are the requests of which it is the last reply.
var meanings = [kinds]meaning{
	Unknown: {name: "unknown message"},

	Bind:         {name: "Bind", tag: 'B', request: true, max: large, whole: true, asks: true},
	Close:        {name: "Close", tag: 'C', request: true, max: smallRequest, whole: true, asks: true},
	CopyData:     {name: "CopyData", tag: 'd', request: true, max: large},
	CopyDone:     {name: "CopyDone", tag: 'c', request: true, max: smallRequest, asks: true},
	CopyFail:     {name: "CopyFail", tag: 'f', request: true, max: smallRequest, asks: true},
	Describe:     {name: "Describe", tag: 'D', request: true, max: smallRequest, whole: true, asks: true},
	Execute:      {name: "Execute", tag: 'E', request: true, max: smallRequest, whole: true, asks: true},
	Flush:        {name: "Flush", tag: 'H', request: true, max: smallRequest},
	FunctionCall: {name: "FunctionCall", tag: 'F', request: true, max: large, asks: true},
	Parse:        {name: "Parse", tag: 'P', request: true, max: large, whole: true, asks: true},
	Password:     {name: "PasswordMessage", tag: 'p', request: true, max: smallRequest},
	Query:        {name: "Query", tag: 'Q', request: true, max: large, whole: true, asks: true},
	Sync:         {name: "Sync", tag: 'S', request: true, max: smallRequest, asks: true},
	Terminate:    {name: "Terminate", tag: 'X', request: true, max: smallRequest},

	Authentication:           {name: "Authentication", tag: 'R', min: 4, max: smallReply},
	BackendKeyData:           {name: "BackendKeyData", tag: 'K', min: 8, max: 4 + 256},
	BindComplete:             {name: "BindComplete", tag: '2', within: Of(Bind), settles: Of(Bind)},
	CloseComplete:            {name: "CloseComplete", tag: '3', within: Of(Close), settles: Of(Close)},
	CommandComplete:          {name: "CommandComplete", tag: 'C', min: 1, max: smallReply, whole: true, within: rows, settles: Of(Execute)},
	CopyBothResponse:         {name: "CopyBothResponse", tag: 'W', min: 3, max: smallReply, within: rows},
	CopyInResponse:           {name: "CopyInResponse", tag: 'G', min: 3, max: smallReply, within: rows},
	CopyOutResponse:          {name: "CopyOutResponse", tag: 'H', min: 3, max: smallReply, within: rows},
	CopyRow:                  {name: "CopyData", tag: 'd', max: large, within: rows},
	CopyEnd:                  {name: "CopyDone", tag: 'c', within: rows},
	DataRow:                  {name: "DataRow", tag: 'D', min: 2, max: large, within: rows},
	EmptyQueryResponse:       {name: "EmptyQueryResponse", tag: 'I', within: rows, settles: Of(Execute)},
	ErrorResponse:            {name: "ErrorResponse", tag: 'E', min: 1, max: large, whole: true, within: anywhere},
	FunctionCallResponse:     {name: "FunctionCallResponse", tag: 'V', min: 4, max: large, within: Of(FunctionCall)},
	NegotiateProtocolVersion: {name: "NegotiateProtocolVersion", tag: 'v', min: 8, max: smallReply},
	NoData:                   {name: "NoData", tag: 'n', whole: true, within: Of(Describe), settles: Of(Describe)},
	NoticeResponse:           {name: "NoticeResponse", tag: 'N', min: 1, max: large, whole: true, within: anywhere},
	NotificationResponse:     {name: "NotificationResponse", tag: 'A', min: 6, max: large, whole: true, within: anywhere},
	ParameterDescription:     {name: "ParameterDescription", tag: 't', min: 2, max: large, whole: true, within: Of(Describe)},
	ParameterStatus:          {name: "ParameterStatus", tag: 'S', min: 2, max: smallReply, whole: true, within: anywhere},
	ParseComplete:            {name: "ParseComplete", tag: '1', within: Of(Parse), settles: Of(Parse)},
	PortalSuspended:          {name: "PortalSuspended", tag: 's', within: Of(Execute), settles: Of(Execute)},
	ReadyForQuery:            {name: "ReadyForQuery", tag: 'Z', min: 1, max: 1, whole: true, within: rounds, settles: rounds},
	RowDescription:           {name: "RowDescription", tag: 'T', min: 2, max: large, whole: true, within: Of(Query, Describe), settles: Of(Describe)},
}

// requests and replies find the kind of a type byte.
var requests, replies [256]Kind

func init() {
	for k := Unknown + 1; k < kinds; k++ {
		if m := &meanings[k]; m.request {
			requests[m.tag] = k
		} else {
			replies[m.tag] = k
		}
	}
}

// RequestKind is the kind of a message with this type byte, from a client.
func RequestKind(tag byte) Kind { return requests[tag] }

// ReplyKind is the kind of a message with this type byte, from a server.
func ReplyKind(tag byte) Kind { return replies[tag] }

// String is the message's name in the specification.
func (k Kind) String() string { return meanings[k].name }

// Tag is the type byte.
func (k Kind) Tag() byte { return meanings[k].tag }

// Whole says that a session looks into the body of such a message.
func (k Kind) Whole() bool { return meanings[k].whole }

// Asks says that a server owes something for this request; CopyDone and
// CopyFail count, since they decide how a copy that is under way ends.
func (k Kind) Asks() bool { return meanings[k].asks }

// Within says whether reply k may come while request is the oldest one owed.
func (k Kind) Within(request Kind) bool { return meanings[k].within.Has(request) }

// Settles says whether reply k is the last reply to request.
func (k Kind) Settles(request Kind) bool { return meanings[k].settles.Has(request) }

// Unasked says that reply k may come when nothing at all is owed.
func (k Kind) Unasked() bool { return meanings[k].within == anywhere }

// BodyLimits are the shortest and longest body, in bytes.
func (k Kind) BodyLimits() (shortest, longest int) { return meanings[k].min, meanings[k].max }
