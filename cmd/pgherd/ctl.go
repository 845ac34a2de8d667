package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"pgherd/proxy/control"
)

// ctl are the commands of pgherdctl, each with the command of SQL that it stands for.
var ctl = []struct {
	use, short, text string
	argument         argument
}{
	{"nodes", "Show the nodes", "SHOW POOL_NODES", none},
	{"health", "Show how the nodes answer", "SHOW POOL_HEALTH_CHECK_STATS", none},
	{"patroni", "Show what Patroni says, where it promotes", "SHOW POOL_PATRONI", none},
	{"events", "Show the last thousand events, with their reasons", "SHOW POOL_EVENTS", none},
	{"clients", "Show the clients", "SHOW POOL_CLIENTS", none},
	{"pools", "Show the pools", "SHOW POOL_POOLS", none},
	{"network", "Show the TCP connections with nodes and clients", "SHOW POOL_NETWORK", none},
	{"attach NODE", "Let a node come back into use once it streams from the primary", "ATTACH", node},
	{"detach NODE", "Take a standby out of use", "DETACH", node},
	{"promote NODE", "Promote a standby while there is no primary", "PROMOTE", node},
	{"switchover NODE", "Make a standby the primary", "SWITCHOVER", node},
	{"recover NODE", "Make a node that is stopped a standby again", "RECOVER", node},
	{"recovery", "Show how far a recovery is", "SHOW POOL_RECOVERY", none},
	{"watchdog", "Show the pgherds that work together, and who holds the virtual addresses", "SHOW WATCHDOG", none},
	{"leader PEER", "Have another pgherd lead, and hold the virtual addresses", "LEADER", aPeer},
	{"pause [DATABASE]", "Let clients wait, and close the servers they give back", "PAUSE", database},
	{"resume [DATABASE]", "End a pause", "RESUME", database},
	{"reconnect [DATABASE]", "Replace every server once its client gives it back", "RECONNECT", database},
	{"kill [DATABASE]", "End the clients' sessions, and pause", "KILL", database},
}

// argument is what a command takes.
type argument int

const (
	none argument = iota
	node
	aPeer
	database // may be left out
)

// shown is what has a number, and what shows it.
func (a argument) shown() string {
	if a == aPeer {
		return "peer; pgherdctl watchdog has them"
	}
	return "node; pgherdctl nodes has them"
}

func (a argument) read(args []string) (string, error) {
	switch {
	case (a == node || a == aPeer) && len(args) == 1:
		if n, err := strconv.Atoi(args[0]); err == nil && n >= 0 {
			return " " + args[0], nil
		}
		return "", fmt.Errorf("%q is not the number of a %s", args[0], a.shown())
	case a == node || a == aPeer:
		return "", fmt.Errorf("name one by its number: that of a %s", a.shown())
	case a == none && len(args) > 0, len(args) > 1:
		return "", errors.New("too many arguments")
	case len(args) == 1:
		return ` "` + strings.ReplaceAll(args[0], `"`, `""`) + `"`, nil
	}
	return "", nil
}

// ctlCommand is pgherdctl, which is also "pgherd ctl".
func ctlCommand(o *options, use string) *cobra.Command {
	socket, asJSON := "", false
	root := &cobra.Command{Use: use, Short: "Look at a running pgherd, and give it orders", SilenceUsage: true, SilenceErrors: true, Version: version}
	root.PersistentFlags().StringVar(&socket, "socket", "", "socket of pgherd; by default the one that the configuration names")
	root.PersistentFlags().BoolVar(&asJSON, "json", false, "print JSON")
	for _, c := range ctl {
		root.AddCommand(&cobra.Command{Use: c.use, Short: c.short, RunE: func(cmd *cobra.Command, args []string) error {
			argument, err := c.argument.read(args)
			if err != nil {
				return err
			}
			path, err := o.socket(socket)
			if err != nil {
				return err
			}
			a, err := control.Ask(cmd.Context(), path, c.text+argument)
			if err != nil {
				return err
			}
			return tellAnswer(cmd.OutOrStdout(), a, asJSON)
		}})
	}
	again := reloadCommand(o)
	again.RunE = func(cmd *cobra.Command, _ []string) error {
		var became strings.Builder
		if err := reload(cmd.Context(), o, &became, cmd.ErrOrStderr()); err != nil {
			return err
		}
		return tellAnswer(cmd.OutOrStdout(), control.Answer{Notice: strings.TrimSuffix(became.String(), "\n")}, asJSON)
	}
	root.AddCommand(again)
	return root
}

// socket is where the pgherd of this configuration answers, unless another one is named.
func (o *options) socket(named string) (string, error) {
	if named != "" {
		return named, nil
	}
	c, _, err := o.load()
	if c == nil {
		return "", err
	}
	if len(c.Listen.UnixDirectories) == 0 {
		return "", fmt.Errorf("%s: unix_socket_directories is empty, so pgherdctl has no socket", c.File)
	}
	return control.Path(c.Listen.UnixDirectories[0], c.Listen.Port), nil
}

// tellAnswer prints a table, or JSON with one object for each row.
func tellAnswer(out io.Writer, a control.Answer, asJSON bool) error {
	if asJSON {
		rows := []map[string]string{}
		for _, row := range a.Rows {
			object := map[string]string{}
			for i, value := range row {
				object[a.Columns[i]] = value
			}
			rows = append(rows, object)
		}
		encoder := json.NewEncoder(out)
		encoder.SetIndent("", "  ")
		return encoder.Encode(map[string]any{"rows": rows, "notice": a.Notice})
	}
	if a.Notice != "" {
		fmt.Fprintln(out, a.Notice)
	}
	if len(a.Columns) == 0 {
		if a.Notice == "" {
			fmt.Fprintln(out, "done")
		}
		return nil
	}
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, strings.Join(a.Columns, "\t"))
	for _, row := range a.Rows {
		fmt.Fprintln(table, strings.Join(row, "\t"))
	}
	return table.Flush()
}
