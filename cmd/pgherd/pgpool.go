package main

import (
	"fmt"

	"github.com/spf13/cobra"
)

// pgpoolCommand is Pgpool-II's command line: options in any place, then nothing, stop or reload.
func pgpoolCommand(start starter) *cobra.Command {
	o, mode := &options{}, smart
	cmd := &cobra.Command{
		Use:               "pgpool [stop | reload]",
		Short:             "Start, stop or reload a PostgreSQL proxy with Pgpool-II's command line",
		Version:           compatible,
		Args:              cobra.MaximumNArgs(1),
		SilenceUsage:      true,
		SilenceErrors:     true,
		CompletionOptions: cobra.CompletionOptions{DisableDefaultCmd: true},
		RunE: func(cmd *cobra.Command, args []string) error {
			switch {
			case len(args) == 0:
				return launch(o, start)
			case args[0] == "stop":
				return stop(o, mode)
			case args[0] == "reload":
				return reload(cmd.Context(), o, cmd.OutOrStdout(), cmd.OutOrStdout())
			}
			return fmt.Errorf("unknown command %q; accepted are stop and reload", args[0])
		},
	}
	cmd.SetVersionTemplate("pgpool-II version {{.Version}} (pgherd " + version + ")\n")
	o.addFileFlags(cmd.Flags(), defaultPgpoolConfig)
	o.addStartFlags(cmd.Flags())
	addModeFlag(cmd.Flags(), &mode)
	cmd.Flags().BoolVarP(&o.foreground, "dont-detach", "n", false, "stay in the foreground")
	cmd.Flags().BoolP("clear-oidmaps", "C", false, "accepted; there are no such files here")
	cmd.Flags().BoolP("debug-assertions", "x", false, "accepted; assertions are always on")
	return cmd
}
