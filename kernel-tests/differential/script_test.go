package differential

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5/pgproto3"
)

// script is one file of testdata; testdata/README.md describes its language.
type script struct {
	path    string
	lines   []string
	startup map[string]string // further parameters of the startup message
	masks   []*regexp.Regexp
	steps   []step
}

// step is one step: it may do something aside, then it sends, then it reads until a condition is met.
type step struct {
	aside  []string // SQL that a superuser runs on another connection
	cancel bool     // whether a CancelRequest for this session is sent
	send   []byte
	pieces int // bytes per write; 0 means that everything is sent at once
	until  until
	line   int    // index in script.lines of its expect-until
	want   string // the summary after "="

	// pgherdEnds, if set, is the answer with which pgherd closes the connection instead, because it does not pass
	// on what it cannot parse.
	pgherdEnds string
}

// until says when a step has read enough: after a number of messages, or at a kind of message.
type until struct {
	kind  byte // 0: count messages of any kind; endOfStream: the connection's end
	count int
}

const endOfStream = byte(0xFF)

var kinds = map[string]byte{
	"ReadyForQuery": 'Z', "ErrorResponse": 'E', "CopyInResponse": 'G', "CopyOutResponse": 'H',
	"NotificationResponse": 'A', "EOF": endOfStream,
}

func readScript(path string) (*script, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	s := &script{path: path, lines: strings.Split(string(text), "\n"), startup: map[string]string{}}
	var current step
	for i, line := range s.lines {
		if err := s.readLine(&current, i, line); err != nil {
			return nil, fmt.Errorf("%s line %d: %w", path, i+1, err)
		}
	}
	if len(current.send) > 0 || len(s.steps) == 0 {
		return nil, fmt.Errorf("%s: ends without expect-until", path)
	}
	return s, nil
}

// ending is the step in which pgherd ends the session by itself; -1 means that there is none.
func (s *script) ending() int {
	return slices.IndexFunc(s.steps, func(st step) bool { return st.pgherdEnds != "" })
}

func (s *script) readLine(current *step, i int, line string) error {
	body, want, _ := strings.Cut(line, " = ")
	tokens, err := tokenize(line)
	if strings.HasPrefix(line, "expect-until ") {
		tokens, err = tokenize(body)
	}
	if err != nil || len(tokens) == 0 {
		return err
	}
	args := arguments(tokens[1:])
	switch word := tokens[0].text; word {
	case "startup":
		s.startup[args.next()] = args.next()
	case "mask":
		mask, err := regexp.Compile(args.next())
		if err != nil {
			return err
		}
		s.masks = append(s.masks, mask)
	case "aside":
		current.aside = append(current.aside, args.next())
	case "cancel":
		current.cancel = true
	case "pgherd-ends":
		current.pgherdEnds = args.next()
	case "pieces":
		current.pieces = args.number()
	case "again": // it has been sent once so far
		current.send = bytes.Repeat(current.send, args.number()+1)
	case "expect-until":
		current.until, err = readUntil(&args)
		current.line, current.want = i, strings.TrimSpace(want)
		s.steps = append(s.steps, *current)
		*current = step{}
	default:
		err = current.addMessage(word, &args)
	}
	return errors.Join(err, args.end())
}

func readUntil(args *arguments) (until, error) {
	word := args.next()
	if count, err := strconv.Atoi(word); err == nil {
		return until{count: count}, nil
	}
	kind, known := kinds[word]
	if !known {
		return until{}, fmt.Errorf("expect-until %q: neither a number nor a kind", word)
	}
	count := 1
	if args.more() {
		count = args.number()
	}
	return until{kind: kind, count: count}, nil
}

func (st *step) addMessage(word string, args *arguments) error {
	times := 1
	if word == "times" {
		times = args.number()
		word = args.next()
	}
	encoded, err := encode(word, args)
	if err != nil {
		return err
	}
	st.send = append(st.send, bytes.Repeat(encoded, times)...)
	return nil
}

func encode(word string, args *arguments) ([]byte, error) {
	switch word {
	case "raw":
		return hex.DecodeString(args.next())
	case "message":
		return encodeAny(args)
	case "fill": // one byte many times, for texts that are too long for a file
		return bytes.Repeat([]byte(args.next()), args.number()), nil
	}
	build, known := messages[word]
	if !known {
		return nil, fmt.Errorf("%q is not a message", word)
	}
	return build(args).Encode(nil)
}

var messages = map[string]func(*arguments) pgproto3.FrontendMessage{
	"Query": func(a *arguments) pgproto3.FrontendMessage { return &pgproto3.Query{String: a.next()} },
	"Parse": func(a *arguments) pgproto3.FrontendMessage {
		return &pgproto3.Parse{Name: a.next(), Query: a.next(), ParameterOIDs: a.numbers()}
	},
	"Bind": func(a *arguments) pgproto3.FrontendMessage {
		portal, statement := a.next(), a.next()
		values, formats := a.values()
		return &pgproto3.Bind{DestinationPortal: portal, PreparedStatement: statement, Parameters: values,
			ParameterFormatCodes: formats, ResultFormatCodes: a.formats()}
	},
	"Describe": func(a *arguments) pgproto3.FrontendMessage {
		return &pgproto3.Describe{ObjectType: a.next()[0], Name: a.next()}
	},
	"Execute": func(a *arguments) pgproto3.FrontendMessage {
		return &pgproto3.Execute{Portal: a.next(), MaxRows: uint32(a.number())}
	},
	"Close": func(a *arguments) pgproto3.FrontendMessage {
		return &pgproto3.Close{ObjectType: a.next()[0], Name: a.next()}
	},
	"FunctionCall": func(a *arguments) pgproto3.FrontendMessage {
		function := uint32(a.number())
		values, formats := a.values()
		results := append(a.formats(), 0)
		return &pgproto3.FunctionCall{Function: function, Arguments: values, ArgFormatCodes: formats16(formats), ResultFormatCode: uint16(results[0])}
	},
	"CopyData": func(a *arguments) pgproto3.FrontendMessage { return &pgproto3.CopyData{Data: []byte(a.next())} },
	"CopyFail": func(a *arguments) pgproto3.FrontendMessage { return &pgproto3.CopyFail{Message: a.next()} },
	"CopyDone": func(*arguments) pgproto3.FrontendMessage { return &pgproto3.CopyDone{} },
	"Sync":     func(*arguments) pgproto3.FrontendMessage { return &pgproto3.Sync{} },
	"Flush":    func(*arguments) pgproto3.FrontendMessage { return &pgproto3.Flush{} },
	"Terminate": func(*arguments) pgproto3.FrontendMessage {
		return &pgproto3.Terminate{}
	},
}

func formats16(formats []int16) []uint16 {
	var all []uint16
	for _, f := range formats {
		all = append(all, uint16(f))
	}
	return all
}

// encodeAny makes a message of any type with any body.
func encodeAny(args *arguments) ([]byte, error) {
	kind := args.next()[0]
	body, err := hex.DecodeString(args.next())
	if err != nil {
		return nil, err
	}
	return append(binary.BigEndian.AppendUint32([]byte{kind}, uint32(len(body)+4)), body...), nil
}
