package proxy

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"time"

	"pgherd/proxy/admin"
	"pgherd/proxy/command"
	"pgherd/proxy/config"
	"pgherd/proxy/pool"
	"pgherd/proxy/session"
	"pgherd/proxy/wire"
)

// answers lets sessions run the commands that admin answers.
type answers struct {
	admin.Commands
	admins []string // admin_users
	log    *slog.Logger
	// verify lets PostgreSQL decide about a log-in.
	verify func(ctx context.Context, target pool.Target, secret any) error
}

func (c *answers) Find(sql []byte) (command.Command, bool) {
	if found, ok := c.Commands.Find(sql); ok {
		return question{found, c}, true
	}
	if found, ok := c.FindOrder(sql); ok {
		return order{found}, true
	}
	return nil, false
}

type question struct {
	admin.Command
	of *answers
}

func (c question) Waits() bool { return false }

func (c question) Run(by *command.Asker) ([][]string, error) {
	asker := admin.Asker{PID: by.PID, User: by.Target.User, Admin: slices.Contains(c.of.admins, by.Target.User),
		Exists: func(ctx context.Context, database string) error { return c.of.exists(ctx, by, database) }}
	rows, err := c.Command.Run(&asker)
	if by.Warning = asker.Notice; c.Acts() {
		c.of.note(by, c.String(), err)
	}
	return rows, err
}

// note logs a command of an administrator's.
func (c *answers) note(by *command.Asker, text string, err error) {
	noteOrder(c.log, text, by.Target.User, by.Host, err)
}

func noteOrder(log *slog.Logger, text, user, host string, err error) {
	if err != nil {
		log.Warn("order not carried out: "+text, "user", user, "host", host, "error", err.Error())
		return
	}
	log.Info("order: "+text, "user", user, "host", host)
}

// exists asks PostgreSQL whether it has a database, by a log-in to it as the client that asks.
// Only the answer that there is none counts, because PostgreSQL may refuse the log-in for
// other reasons.
func (c *answers) exists(ctx context.Context, by *command.Asker, database string) error {
	if database == by.Target.Database {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, existsLimit)
	defer cancel()
	target := by.Target
	target.Database = database
	fault, ok := errors.AsType[*wire.Fault](c.verify(ctx, target, by.Secret))
	if !ok || fault.Code != "3D000" {
		return nil
	}
	return &wire.Fault{Severity: "ERROR", Code: "3D000", Message: fault.Message, Hint: "Without a name the command is for all databases."}
}

// existsLimit is how long PostgreSQL may take to answer that there is no such database.
const existsLimit = 5 * time.Second

// order runs PGPOOL SHOW, SET or RESET.
type order struct{ *admin.Order }

// It waits, so that what the session has asked before is answered under the values of
// that time.
func (order) Waits() bool { return true }

func (o order) Run(by *command.Asker) ([][]string, error) {
	outcome, err := o.Order.Run(by.Values)
	if err != nil {
		return nil, err
	}
	by.Values, by.Warning = outcome.Values, outcome.Warning
	return outcome.Rows, nil
}

// overridable adds to the settings what sessions can set for themselves.
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

// personal takes over the parameters of context session, which are those that PGPOOL
// SET can change.
func personal(set *session.Settings, c *config.Config) {
	set.QueryWait, set.QueryNotify, set.QueryTimeout = c.Timeouts.QueryWait, c.Timeouts.QueryNotify, c.Timeouts.Query
	set.ClientIdle, set.InTransIdle = c.Timeouts.ClientIdle, c.Timeouts.IdleTransaction
	set.Tells = tellsOf(&c.Log.Clients)
	if r := set.Routing; r != nil && r.Rules.Comments != c.Balance.Comments {
		own := *r
		own.Rules.Comments = c.Balance.Comments
		set.Routing = &own
	}
}
