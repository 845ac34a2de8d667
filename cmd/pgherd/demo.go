package main

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
	demoStandbys    = 2
	demoPort        = 9999
	demoSetupLimit  = 2 * time.Minute
	demoPasswordEnv = "PGPASSWORD=" + herd.User // a throw-away user; its password is its name
)

type demoOptions struct {
	port int
	once bool
}

func demoCommand() *cobra.Command {
	var o demoOptions
	demo := &cobra.Command{
		Use:   "demo",
		Short: "Start a primary, two standbys and pgherd in front of them, and watch",
		Long: "Starts throw-away PostgreSQL servers and pgherd in front of them, all on 127.0.0.1,\n" +
			"prints how to connect and shows the nodes until Ctrl-C, which takes everything away.",
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if o.once && !c.Flags().Changed("port") {
				o.port = 0 // nobody needs to know it
			}
			return demo(c.Context(), c.OutOrStdout(), o)
		},
	}
	demo.Flags().IntVar(&o.port, "port", demoPort, "`port` for pgherd to listen on; 0 is a free one")
	demo.Flags().BoolVar(&o.once, "once", false, "run a short mixed workload, print what was seen, and end with status 0 or 1")
	return demo
}

// demo runs until its work is done, ctx ends, or a signal to stop.
func demo(ctx context.Context, out io.Writer, o demoOptions) (err error) {
	if ctx == nil {
		ctx = context.Background()
	}
	ctx, cancel := signal.NotifyContext(ctx, syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP)
	defer cancel()
	setup, done := context.WithTimeout(ctx, demoSetupLimit)
	defer done()

	fmt.Fprintf(out, "starting a primary and %d standbys ...\n", demoStandbys)
	nodes, err := herd.Start(setup, herd.Settings{Standbys: demoStandbys})
	if err != nil {
		return demoStopped(ctx, err)
	}
	defer func() { err = errors.Join(err, nodes.Stop()) }()
	for _, n := range nodes.Nodes() {
		fmt.Fprintf(out, "  node %d at %s:%d, process %d\n", n.Index, n.Host, n.Port, n.PID)
	}
	fmt.Fprintln(out, "starting pgherd ...")
	self, err := os.Executable()
	if err != nil {
		return err
	}
	proxy, err := herd.StartProxy(setup, herd.ProxySettings{Binary: self, Nodes: nodes.Nodes(), Port: o.port})
	if err != nil {
		return demoStopped(ctx, err)
	}
	defer func() { err = errors.Join(err, proxy.Stop()) }()
	fmt.Fprintf(out, "  pgherd at %s, process %d\n\nconnect with\n\n  %s psql -h %s -p %d -U %s %s\n\n",
		proxy.Addr(), proxy.PID(), demoPasswordEnv, proxy.Host, proxy.Port, herd.User, herd.Database)
	if o.once {
		return demoOnce(ctx, out, nodes, proxy)
	}
	return demoWatch(ctx, out, proxy)
}

// demoStopped is no error if it was the user who stopped.
func demoStopped(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return nil
	}
	return err
}

// demoDSN is how the demo's own clients connect.
func demoDSN(p *herd.Proxy) string {
	return fmt.Sprintf("host=%s port=%d user=%s password=%s dbname=%s sslmode=disable connect_timeout=5",
		p.Host, p.Port, herd.User, herd.User, herd.Database)
}
