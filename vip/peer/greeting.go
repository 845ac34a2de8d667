package peer

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"time"
)

// Protocol is the version of what members say to each other. Members of another one do not understand each other.
const Protocol = 1

// longestGreeting limits what is read of a member, in bytes.
const longestGreeting = 4096

// Greeting is what a member says of itself.
type Greeting struct {
	Protocol int      `json:"protocol"`
	Version  string   `json:"version"` // of pgherd: for people, members of several work together
	Cluster  string   `json:"cluster"`
	Member   string   `json:"member"`
	Purpose  Purpose  `json:"purpose,omitempty"`
	Config   []Digest `json:"config,omitempty"` // of what has to be the same on all members
}

// Digest is one thing that has to be the same, such as a parameter, in a form that shows no secret.
type Digest struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

// differences are what keeps two members from working together; "" if nothing does.
func differences(mine, theirs Greeting) string {
	var all []string
	differ := func(what string, here, there any) {
		if here != there {
			all = append(all, fmt.Sprintf("%s is %v here and %v there", what, here, there))
		}
	}
	differ("the watchdog's protocol", mine.Protocol, theirs.Protocol)
	differ("the cluster", mine.Cluster, theirs.Cluster)
	if mine.Member == theirs.Member {
		all = append(all, fmt.Sprintf("both are member %s", mine.Member))
	}
	values := map[string]string{}
	for _, d := range theirs.Config {
		values[d.Name] = d.Value
	}
	for _, d := range mine.Config {
		value, told := values[d.Name]
		if !told {
			value = "not told"
		}
		differ(d.Name, d.Value, value)
	}
	return strings.Join(all, "; ")
}

// greet proves both sides to each other, and has them say what they are.
func greet(ctx context.Context, conn *tls.Conn, mine Greeting) (_ *tls.Conn, theirs Greeting, err error) {
	if err := conn.HandshakeContext(ctx); err != nil {
		return nil, theirs, fmt.Errorf("prove that both belong to one cluster: %w", err)
	}
	deadline, _ := ctx.Deadline()
	_ = conn.SetDeadline(deadline)
	mine.Protocol = Protocol
	text, err := json.Marshal(mine)
	if err != nil || len(text) > longestGreeting {
		return nil, theirs, fmt.Errorf("greet: %d bytes are too many: %w", len(text), err)
	}
	if err := WriteFrame(conn, text); err != nil {
		return nil, theirs, fmt.Errorf("greet: %w", err)
	}
	if theirs, err = readGreeting(conn); err != nil {
		return nil, theirs, fmt.Errorf("read the greeting: %w", err)
	}
	if what := differences(mine, theirs); what != "" {
		return nil, theirs, fmt.Errorf("member %q does not fit: %s", theirs.Member, what)
	}
	return conn, theirs, conn.SetDeadline(time.Time{})
}

func readGreeting(r io.Reader) (g Greeting, err error) {
	text, err := ReadFrame(r, longestGreeting)
	if err != nil {
		return g, err
	}
	return g, json.Unmarshal(text, &g)
}
