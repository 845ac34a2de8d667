// Package demo shows pgherd at work: it starts throw-away PostgreSQL nodes and pgherd in
// front of them, and lets the user watch or runs a short workload. It drives both as
// programs, from outside.
package demo

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"pgherd/bench/herd"
)

const (
	standbys         = 2
	usualPort        = 9999
	setupLimit       = 2 * time.Minute
	passwordVariable = "PGPASSWORD=" + herd.User // a throw-away user; its password is its name
)

type options struct {
	port   int
	once   bool
	chaos  bool
	json   bool
	rounds int
}

// Command is the command line of the demo.
func Command() *cobra.Command {
	var o options
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "Start a primary, two standbys and pgherd in front of them, and watch",
		Long: "Starts throw-away PostgreSQL servers and pgherd in front of them, all on 127.0.0.1,\n" +
			"prints how to connect and shows the nodes until Ctrl-C, which removes everything.",
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if (o.once || o.chaos) && !c.Flags().Changed("port") {
				o.port = 0 // nobody needs to know the port
			}
			return run(c.Context(), c.OutOrStdout(), c.ErrOrStderr(), o)
		},
	}
	cmd.Flags().IntVar(&o.port, "port", usualPort, "`port` for pgherd to listen on; 0 is a free one")
	cmd.Flags().BoolVar(&o.once, "once", false, "run a short mixed workload, print what was seen, and end with status 0 or 1")
	cmd.Flags().BoolVar(&o.chaos, "chaos", false, "lose nodes one after another under load, print what clients saw of it, and end with status 0 or 1")
	cmd.Flags().IntVar(&o.rounds, "rounds", 2, "with --chaos: `how often` each fault happens")
	cmd.Flags().BoolVar(&o.json, "json", false, "with --chaos: print the result as JSON, and the progress to stderr")
	cmd.MarkFlagsMutuallyExclusive("once", "chaos")
	return cmd
}

// run runs until its work is done, ctx ends, or a signal tells it to stop.
func run(ctx context.Context, out, errs io.Writer, o options) (err error) {
	tell := out // who watches
	if o.json {
		tell = errs
	}
	if ctx == nil {
		ctx = context.Background()
	}
	ctx, cancel := signal.NotifyContext(ctx, syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP)
	defer cancel()
	setup, done := context.WithTimeout(ctx, setupLimit)
	defer done()

	fmt.Fprintf(tell, "starting a primary and %d standbys ...\n", standbys)
	nodes, err := herd.Start(setup, herd.Settings{Standbys: standbys})
	if err != nil {
		return stopped(ctx, err)
	}
	defer func() { err = errors.Join(err, nodes.Stop()) }()
	for _, n := range nodes.Nodes() {
		fmt.Fprintf(tell, "  node %d at %s:%d, process %d\n", n.Index, n.Host, n.Port, n.PID)
	}
	fmt.Fprintln(tell, "starting pgherd ...")
	self, err := os.Executable()
	if err != nil {
		return err
	}
	config := ""
	if o.chaos {
		config = chaosConfig
	}
	proxy, err := herd.StartProxy(setup, herd.ProxySettings{Binary: self, Nodes: nodes.Nodes(), Port: o.port, Config: config})
	if err != nil {
		return stopped(ctx, err)
	}
	defer func() { err = errors.Join(err, proxy.Stop()) }()
	if o.chaos {
		return runChaos(ctx, out, tell, o, nodes, proxy)
	}
	fmt.Fprintf(out, "  pgherd at %s, process %d\n\nconnect with\n\n  %s psql -h %s -p %d -U %s %s\n\n",
		proxy.Addr(), proxy.PID(), passwordVariable, proxy.Host, proxy.Port, herd.User, herd.Database)
	if o.once {
		return once(ctx, out, nodes, proxy)
	}
	return watch(ctx, out, proxy)
}

// stopped returns no error if the user has stopped the demo.
func stopped(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return nil
	}
	return err
}

// dsn is how the demo's own clients connect.
func dsn(p *herd.Proxy) string {
	return fmt.Sprintf("host=%s port=%d user=%s password=%s dbname=%s sslmode=disable connect_timeout=5",
		p.Host, p.Port, herd.User, herd.User, herd.Database)
}
