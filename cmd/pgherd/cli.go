package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"pgherd/cmd/pgherd/demo"
	"pgherd/proxy/config"
	"pgherd/proxy/recovery"
)

const version = "0.1.0"

// compatible is the Pgpool-II version whose command line and configuration pgherd
// follows.
const compatible = "4.7.0"

// The configuration files that are read if none is named.
const (
	defaultConfig       = "/etc/pgherd/pgherd.conf"
	defaultPgpoolConfig = "/etc/pgpool-II/pgpool.conf"
)

// errReported ends a command whose error the user has already been shown.
var errReported = errors.New("already reported")

// run carries out a command line and returns the exit status.
func run(args []string, start starter) int {
	name := filepath.Base(args[0])
	root := pgherdCommand(start)
	switch name {
	case "pgpool":
		root = pgpoolCommand(start)
	case "pgherdctl":
		o := &options{}
		root = ctlCommand(o, name)
		o.addFileFlags(root.PersistentFlags(), defaultConfig)
	}
	root.SetArgs(args[1:])
	err := root.ExecuteContext(context.Background())
	switch {
	case err == nil:
		return 0
	case err != errReported:
		printErrors(name, err)
	}
	return 1
}

// printErrors writes one line per error.
func printErrors(name string, err error) {
	for line := range strings.SplitSeq(err.Error(), "\n") {
		fmt.Fprintf(os.Stderr, "%s: %s\n", name, line)
	}
}

func pgherdCommand(start starter) *cobra.Command {
	o := &options{foreground: true}
	root := &cobra.Command{
		Use:           "pgherd",
		Short:         "A PostgreSQL proxy that makes many servers look like one",
		Version:       version,
		Args:          knownCommand,
		SilenceUsage:  true,
		SilenceErrors: true,
		RunE:          func(*cobra.Command, []string) error { return launch(o, start) },

		SuggestionsMinimumDistance: 2,
	}
	root.SetVersionTemplate("pgherd {{.Version}}\n")
	o.addFileFlags(root.PersistentFlags(), defaultConfig)
	o.addStartFlags(root.Flags())
	root.Flags().BoolVarP(&o.foreground, "foreground", "n", true, "stay in the foreground; =false to become a daemon")
	root.AddCommand(checkCommand(o), configCommand(), scriptCommand(), stopCommand(o), reloadCommand(o), witnessCommand(o), ctlCommand(o, "ctl"), demo.Command(), versionCommand())
	return root
}

// knownCommand suggests what a mistyped command may mean.
func knownCommand(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	if near := cmd.SuggestionsFor(args[0]); len(near) > 0 {
		return fmt.Errorf("unknown command %q; did you mean %s?", args[0], strings.Join(near, " or "))
	}
	return fmt.Errorf("unknown command %q; pgherd --help lists what there is", args[0])
}

func versionCommand() *cobra.Command {
	return &cobra.Command{Use: "version", Short: "Print the version", Args: cobra.NoArgs,
		Run: func(cmd *cobra.Command, _ []string) { fmt.Fprintln(cmd.OutOrStdout(), "pgherd "+version) }}
}

func checkCommand(o *options) *cobra.Command {
	return &cobra.Command{
		Use:   "check-config [file]",
		Short: "Print every error of a configuration",
		Args:  cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) > 0 {
				o.config = args[0]
			}
			c, err := o.check(cmd.Context(), cmd.OutOrStdout())
			if err != nil {
				return err
			}
			fmt.Fprintf(cmd.OutOrStdout(), "%s: no errors\n", c.File)
			return nil
		},
	}
}

func configCommand() *cobra.Command {
	text := func(use, short string, text func() string) *cobra.Command {
		return &cobra.Command{Use: use, Short: short, Args: cobra.NoArgs,
			Run: func(cmd *cobra.Command, _ []string) { fmt.Fprint(cmd.OutOrStdout(), text()) }}
	}
	cmd := &cobra.Command{Use: "config", Short: "Print what can be configured"}
	cmd.AddCommand(text("manual", "Print the manual's chapter on the configuration", config.Manual),
		text("sample", "Print a configuration file with every default", config.Sample))
	return cmd
}

func scriptCommand() *cobra.Command {
	return &cobra.Command{
		Use:       "recovery-script " + strings.Join(recovery.Scripts(), "|"),
		Short:     "Print a script that RECOVER runs, to be put into the data folders of the nodes",
		Args:      cobra.MatchAll(cobra.ExactArgs(1), cobra.OnlyValidArgs),
		ValidArgs: recovery.Scripts(),
		Run:       func(cmd *cobra.Command, args []string) { fmt.Fprint(cmd.OutOrStdout(), recovery.Script(args[0])) },
	}
}

func stopCommand(o *options) *cobra.Command {
	mode := smart
	cmd := &cobra.Command{
		Use:   "stop",
		Short: "Stop the server of a configuration and wait until it is gone",
		Args:  cobra.NoArgs,
		RunE:  func(*cobra.Command, []string) error { return stop(o, mode) },
	}
	addModeFlag(cmd.Flags(), &mode)
	return cmd
}

func reloadCommand(o *options) *cobra.Command {
	return &cobra.Command{
		Use:   "reload",
		Short: "Let the server of a configuration read it again",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return reload(cmd.Context(), o, cmd.OutOrStdout(), cmd.OutOrStdout())
		},
	}
}
