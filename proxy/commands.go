package proxy

import (
	"slices"

	"pgherd/proxy/admin"
	"pgherd/proxy/config"
	"pgherd/proxy/session"
)

// commands gives sessions what admin answers.
type commands struct {
	admin.Commands
	admins []string // admin_users
}

func (c *commands) Find(sql []byte) (session.Command, bool) {
	if found, ok := c.Commands.Find(sql); ok {
		return command{found, c.admins}, true
	}
	if found, ok := c.FindOrder(sql); ok {
		return order{found}, true
	}
	return nil, false
}

type command struct {
	admin.Command
	admins []string
}

func (c command) Waits() bool { return false }

func (c command) Run(by *session.Asker) ([][]string, error) {
	return c.Command.Run(admin.Asker{PID: by.PID, Admin: slices.Contains(c.admins, by.User)})
}

// order is PGPOOL SHOW, SET or RESET.
type order struct{ *admin.Order }

// Waits: what a session asked before is answered under the values it had then.
func (order) Waits() bool { return true }

func (o order) Run(by *session.Asker) ([][]string, error) {
	outcome, err := o.Order.Run(by.Values)
	if err != nil {
		return nil, err
	}
	by.Values, by.Warning = outcome.Values, outcome.Warning
	return outcome.Rows, nil
}

// overridable completes the settings by what sessions can set for themselves.
func overridable(c *config.Config, set *session.Settings) *session.Settings {
	personal(set, c)
	set.Override = func(values map[string]string) (*session.Settings, error) {
		if len(values) == 0 {
			return set, nil
		}
		own, err := c.With(values)
		if err != nil {
			return nil, err
		}
		changed := *set
		personal(&changed, own)
		return &changed, nil
	}
	return set
}

// personal takes over the parameters of context session: all of a configuration
// that PGPOOL SET can change, and nothing else.
func personal(set *session.Settings, c *config.Config) {
	set.QueryWait, set.QueryNotify, set.QueryTimeout = c.Timeouts.QueryWait, c.Timeouts.QueryNotify, c.Timeouts.Query
	set.ClientIdle, set.InTransIdle = c.Timeouts.ClientIdle, c.Timeouts.IdleTransaction
	set.Tells = tellsOf(&c.Log)
	if r := set.Routing; r != nil && r.Rules.Comments != c.Balance.Comments {
		own := *r
		own.Rules.Comments = c.Balance.Comments
		set.Routing = &own
	}
}
