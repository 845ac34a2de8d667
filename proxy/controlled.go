package proxy

import (
	"context"

	"pgherd/proxy/admin"
	"pgherd/proxy/config"
	"pgherd/proxy/control"
	"pgherd/proxy/wire"
)

// serveControl answers pgherdctl, on a socket beside the clients' first one. Without a folder
// for that there is none.
func (p *Proxy) serveControl(c *config.Config) error {
	if len(c.Listen.UnixDirectories) == 0 {
		return nil
	}
	l, err := control.Listen(control.Path(c.Listen.UnixDirectories[0], c.Listen.Port))
	if err != nil {
		return err
	}
	p.control = control.Serve(l, p.runCommand)
	return nil
}

// runCommand runs one of pgherd's own commands for an administrator on this machine.
func (p *Proxy) runCommand(_ context.Context, text, user string) (a control.Answer, err error) {
	commands := admin.Commands{Source: p, Control: p, Config: p.config.Load}
	found, ok := commands.Find([]byte(text))
	if !ok {
		return a, &wire.Fault{Code: "42601", Message: "pgherd has no such command: " + text, Hint: "SHOW HELP lists them."}
	}
	asker := admin.Asker{User: user, Admin: true, Exists: func(context.Context, string) error { return nil }}
	rows, err := found.Run(&asker)
	if found.Acts() {
		noteOrder(p.log, found.String(), user, "[local]", err)
	}
	if err != nil {
		return a, err
	}
	a = control.Answer{Columns: found.Columns(), Rows: rows}
	if asker.Notice != nil {
		a.Notice = asker.Notice.Message
	}
	return a, nil
}
