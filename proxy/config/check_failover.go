package config

import (
	"fmt"
	"net/url"
	"strings"
)

// withoutNodes refuses a mode in which somebody else promotes, where the nodes cannot be asked
// who they are. internal is the default, and is only off there.
func withoutNodes(c *Config) string {
	mode := c.Failover.Mode
	switch {
	case mode != ModePatroni && mode != ModeScript:
		return ""
	case c.Streaming.User == "" || c.Streaming.Period == 0:
		return fmt.Sprintf("failover_mode %s needs sr_check_user, and an sr_check_period other than 0", mode)
	case len(c.Nodes) < 2:
		return fmt.Sprintf("failover_mode %s needs two nodes or more", mode)
	}
	for _, n := range c.Nodes {
		if n.Flags.AlwaysPrimary {
			return fmt.Sprintf("failover_mode %s and ALWAYS_PRIMARY in backend_flag%d contradict each other", mode, n.Index)
		}
	}
	return ""
}

// withoutCommand refuses script where there is none that promotes.
func withoutCommand(c *Config) string {
	if c.Failover.Mode == ModeScript && c.Failover.Commands.Failover == "" {
		return "failover_mode script needs failover_command, which promotes a standby"
	}
	return ""
}

// defaultPatroni is the port of Patroni's REST API.
const defaultPatroni = "8008"

// badPatroniURL refuses what is no address of a REST API.
func badPatroniURL(c *Config) string {
	for _, n := range c.Nodes {
		if n.Patroni.URL == "" {
			if c.Failover.Mode == ModePatroni && strings.HasPrefix(n.Host, "/") {
				return fmt.Sprintf("patroni_url%d has to be set, as backend_hostname%d is a folder", n.Index, n.Index)
			}
			continue
		}
		u, err := url.Parse(n.Patroni.URL)
		if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.User != nil || u.RawQuery != "" {
			return fmt.Sprintf("patroni_url of node %d is no address like https://db0.example.com:8008", n.Index)
		}
	}
	return ""
}

func halfPatroniCertificate(c *Config) string {
	if (c.Patroni.CertFile == "") != (c.Patroni.KeyFile == "") {
		return "patroni_cert_file and patroni_key_file must be set together"
	}
	return ""
}
