package session

import (
	"time"

	"pgherd/proxy/pool"
)

// Client is what the log-in has learnt about an application's connection.
type Client struct {
	Target      pool.Target
	Application string // application_name as given at start-up
	Host        string // "[local]" for a Unix socket
	Port        string // "" for a Unix socket
	Protocol    uint32 // the version agreed on: 3<<16 or 3<<16|2
	TLS         string // version and cipher; "" without TLS
	LoggedIn    time.Time
	// Secret is what the connector needs to log in to a server for this client. It is
	// opaque here, and never shown (I9).
	Secret any
	// Confirm asks the primary about the log-in, about which a standby may have been asked
	// because there was no primary. It blocks. It is nil if only the primary was asked.
	Confirm func() error
}
