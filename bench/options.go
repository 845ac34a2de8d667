package bench

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"regexp"
	"syscall"
	"time"

	"pgherd/bench/peers"
)

// options are the command line.
type options struct {
	run      *regexp.Regexp // workloads
	variants *regexp.Regexp // peers
	rounds   int
	window   time.Duration
	quick    bool
	out      string
	port     int
	wanted   peers.Wanted
}

const (
	quickWindow = 300 * time.Millisecond
	fullScale   = 20 // of pgbench: 2,000,000 rows, 250 MB
)

func (o options) scale() int {
	if o.quick {
		return 1
	}
	return fullScale
}

// Main runs the bench with these arguments and returns the exit code.
func Main(args []string) int {
	o, err := parse(args[1:], os.Stderr)
	if err != nil {
		return 2 // flag has said what is wrong
	}
	if err := raiseLimit(); err != nil {
		fmt.Fprintln(os.Stderr, err)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	b := bench{options: o, out: os.Stdout}
	if err := b.run(ctx); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

func parse(args []string, complaints io.Writer) (options, error) {
	var o options
	flags := flag.NewFlagSet("pgherd-bench", flag.ContinueOnError)
	flags.SetOutput(complaints)
	run := flags.String("run", "", "`REGEX` of workloads; all if empty")
	variants := flags.String("variants", "", "`REGEX` of peers; all if empty")
	flags.IntVar(&o.rounds, "rounds", 5, "rounds of each workload")
	flags.DurationVar(&o.window, "window", 3*time.Second, "how long a round of a peer measures")
	flags.BoolVar(&o.quick, "quick", false, "one short round of little data, to see that it works; the figures mean nothing")
	flags.StringVar(&o.out, "out", "bin/bench", "`FOLDER` for report.md, report.json and the plots")
	flags.StringVar(&o.wanted.Binary, "binary", besideUs("pgherd"), "pgherd's `PROGRAM`")
	flags.IntVar(&o.port, "port", 0, "PostgreSQL's `PORT`, for peers that you run; 0 is any free one")
	flags.BoolVar(&o.wanted.Install, "install", true, "install missing peers from Debian's packages, as root")
	flags.Func("pgherd", "a further pgherd, as `NAME=[PROGRAM][;LINE OF CONFIGURATION]...`; may be repeated", appendTo(&o.wanted.Pgherd))
	flags.Func("pgbouncer", "a further PgBouncer, as `NAME=PROGRAM`; may be repeated", appendTo(&o.wanted.Pgbouncers))
	flags.Func("peer", "a peer that you run in front of -port, as `NAME=ADDRESS=PIDFILE`; may be repeated", appendTo(&o.wanted.Given))
	if err := flags.Parse(args); err != nil {
		return o, err
	}
	if o.quick {
		o.rounds, o.window = 1, quickWindow
	}
	var err error
	if o.run, err = regexp.Compile(*run); err == nil {
		o.variants, err = regexp.Compile(*variants)
	}
	if err == nil && (o.rounds < 1 || o.window <= 0 || flags.NArg() > 0) {
		err = fmt.Errorf("read options: rounds and window are above 0, and %q is no option", flags.Args())
	}
	if err != nil {
		fmt.Fprintln(complaints, err)
	}
	return o, err
}

func appendTo(list *[]string) func(string) error {
	return func(text string) error { *list = append(*list, text); return nil }
}

// besideUs is a program in the folder that we were started from.
func besideUs(name string) string {
	self, err := os.Executable()
	if err != nil {
		return name
	}
	return filepath.Join(filepath.Dir(self), name)
}

// raiseLimit lets us and those we start have as many files open as allowed: a
// crowd has thousands. (Go raises its own limit, but hands on the old one.)
func raiseLimit() error {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return fmt.Errorf("read limit of open files: %w", err)
	}
	limit.Cur = limit.Max
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return fmt.Errorf("raise limit of open files: %w", err)
	}
	return nil
}
