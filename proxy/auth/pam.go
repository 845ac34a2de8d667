package auth

import (
	"context"
	"fmt"
)

// pamPlaces bounds how many log-ins ask PAM at the same time. A call of PAM that hangs
// cannot be ended: its log-in ends, but its place is lost until PAM returns.
var pamPlaces = make(outside, 16)

// pamRule is how a rule asks PAM.
type pamRule struct {
	service     string // file in /etc/pam.d
	useHostname bool   // tell the client's host by name
}

// defaultPAMService is Pgpool-II's.
const defaultPAMService = "pgpool"

// pamQuestion is what PAM is asked.
type pamQuestion struct {
	service, user, password string
	remote                  string // where the client is
	configDir               string // instead of /etc/pam.d; for tests
}

var pamConfigDir string // "": the system's

// checkPAM is method pam.
func checkPAM(a *attempt) (Grant, error) {
	return a.checkOutside("PAM", pamPlaces, func(_ context.Context, password string) error {
		return askPAM(&pamQuestion{service: a.rule.pam.service, user: a.peer.User, password: password,
			remote: a.remote(), configDir: pamConfigDir})
	})
}

// remote names the client's host for PAM.
func (a *attempt) remote() string {
	if a.rule.pam.useHostname && !a.peer.Local {
		if a.search.askHost(); a.search.host != "" {
			return a.search.host
		}
	}
	return a.peer.host()
}

var pamOptionTable = map[string]option{
	"pamservice": func(_ *ruleParser, r *Rule, value string) { r.pam.service = value },
	"pam_use_hostname": func(p *ruleParser, r *Rule, value string) {
		if value != "0" && value != "1" {
			p.fail("invalid value of pam_use_hostname: want 0 or 1")
		}
		r.pam.useHostname = value == "1"
	},
}

// startPAM makes sure that PAM is installed before anybody needs it.
func (p *ruleParser) startPAM(r *Rule) {
	r.pam = &pamRule{service: defaultPAMService}
	if err := loadPAM(); err != nil && p.err == nil {
		p.fail("method pam: %w", err)
	}
}

func pamFailure(step, text string, denied bool) error {
	if denied {
		return fmt.Errorf("%w: %s: %s", errDenied, step, text)
	}
	return fmt.Errorf("%s: %s", step, text)
}
