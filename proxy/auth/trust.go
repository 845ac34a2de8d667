package auth

import "fmt"

// checkTrust lets the client in without a proof, as the rule says.
func checkTrust(a *attempt) (Grant, error) {
	return Grant{Proof: Here, Secret: a.stored}, nil
}

// checkReject refuses the client.
func checkReject(a *attempt) (Grant, error) {
	return Grant{}, refuse("28000", "pool_hba.conf rejects "+a.peer.describe(), a.search.resolved())
}

// noEntry is the answer when no rule matches.
func noEntry(peer *Peer, resolved string) *Refusal {
	return refuse("28000", "no pool_hba.conf entry for "+peer.describe(), resolved)
}

// describe describes the attempt in the words of PostgreSQL's messages.
func (p *Peer) describe() string {
	tls := "off"
	if p.TLS {
		tls = "on"
	}
	if p.Physical {
		return fmt.Sprintf("replication connection from host %q, user %q, SSL %s", p.host(), p.User, tls)
	}
	return fmt.Sprintf("host %q, user %q, database %q, SSL %s", p.host(), p.User, p.Database, tls)
}
