package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"os/signal"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"pgherd/cmd/pgherd/pglog"
	"pgherd/proxy/config"
)

// abandonAfter limits how long the process may go on after it was told to stop at once.
const abandonAfter = 10 * time.Second

// service is the server's process: it owns the configuration in effect, the log and the signals.
type service struct {
	options *options
	config  *config.Config
	log     *pglog.Log
	logger  *slog.Logger
	stops   chan os.Signal
	hangups chan os.Signal   // one signal counts for several, which must not displace a stop
	server  Server           // nil until started
	abandon <-chan time.Time // when to end whatever the server does; nil: never
}

// serve runs the server until it is told to stop. It calls ready once the server
// listens.
func serve(o *options, start starter, ready func() error) error {
	c, warnings, err := o.load()
	if c == nil {
		return err
	}
	if err != nil || checkPidFolder(c) != nil { // otherwise the start itself finds everything that is wrong
		return everyError(context.Background(), c, err, silence)
	}
	log, err := openLog(c.Log)
	if err != nil {
		return err
	}
	s := &service{options: o, config: c, log: log, logger: log.Logger(), stops: make(chan os.Signal, 8), hangups: make(chan os.Signal, 1)}
	signal.Notify(s.stops, syscall.SIGTERM, syscall.SIGINT, syscall.SIGQUIT)
	defer signal.Stop(s.stops)
	signal.Notify(s.hangups, syscall.SIGHUP)
	defer signal.Stop(s.hangups)
	signal.Notify(make(chan os.Signal, 1), syscall.SIGPIPE) // a log that nobody reads must not end the server
	s.warn(warnings)
	if err := s.run(start, ready); err != nil {
		for line := range strings.SplitSeq(err.Error(), "\n") {
			s.logger.Log(context.Background(), pglog.LevelFatal, line)
		}
		if slices.Contains(s.config.Log.Destination, "stderr") {
			return errReported
		}
		return err
	}
	s.logger.Info("stopped")
	return nil
}

// silence is for warnings that are logged elsewhere.
var silence = slog.New(slog.DiscardHandler)

// openLog falls back to stderr, because a syslog that is down must not keep the server from
// starting.
func openLog(settings config.Log) (*pglog.Log, error) {
	log, err := pglog.New(settings, os.Stderr)
	if err == nil {
		return log, nil
	}
	settings.Destination = []string{"stderr"}
	log, fallback := pglog.New(settings, os.Stderr)
	if fallback != nil {
		return nil, fallback
	}
	log.Logger().Warn("the log goes to stderr instead", "detail", err.Error())
	return log, nil
}

func (s *service) run(start starter, ready func() error) error {
	if err := claimPidFile(s.config.Files.Pid); err != nil {
		return err
	}
	defer dropPidFile(s.config.Files.Pid, os.Getpid())
	s.tell(outcome{})
	defer os.Remove(outcomeFile(s.config.Files.Pid))
	s.banner()
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	if err := s.start(ctx, cancel, start); err != nil {
		return err
	}
	if err := ready(); err != nil {
		s.server.Drain(immediate)
		return errors.Join(fmt.Errorf("report ready: %w", err), s.server.Wait())
	}
	s.logger.Info("ready")
	ended := make(chan error, 1)
	go func() { ended <- s.server.Wait() }()
	for {
		select {
		case sig := <-s.stops:
			s.stop(sig)
		case <-s.hangups:
			s.reload()
		case <-s.abandon:
			return fmt.Errorf("the server did not stop within %v", abandonAfter)
		case err := <-ended:
			return err
		}
	}
}

// start waits for the server to listen. A signal to stop ends the wait.
func (s *service) start(ctx context.Context, cancel func(), start starter) error {
	var err error
	started := make(chan struct{})
	go func() {
		s.server, err = start(ctx, s.config, s.logger)
		close(started)
	}()
	var abandon <-chan time.Time
	for {
		select {
		case <-s.stops:
			cancel()
			abandon = time.After(abandonAfter)
		case <-abandon:
			return fmt.Errorf("the start did not stop within %v", abandonAfter)
		case <-started:
			if err == nil && ctx.Err() != nil {
				s.server.Drain(immediate)
				return s.server.Wait()
			}
			return err
		}
	}
}

// stop makes a running server stop as a signal asks for.
func (s *service) stop(sig os.Signal) {
	mode := map[os.Signal]string{syscall.SIGTERM: smart, syscall.SIGINT: fast, syscall.SIGQUIT: immediate}[sig]
	s.logger.Info("stopping", "mode", mode)
	if mode == immediate && s.abandon == nil {
		s.abandon = time.After(abandonAfter)
	}
	s.server.Drain(mode)
}

// reload applies the configuration file as it is now, or nothing of it if it has errors, and
// reports the result to whoever waits for it.
func (s *service) reload() {
	o := outcome{Began: sinceBoot()} // what the file had before applies
	changes, err := s.takeUp()
	o.Changed, o.Restart = changes.Reload, changes.Restart
	if err != nil {
		o.Errors = strings.Split(err.Error(), "\n")
		for _, line := range o.Errors {
			s.logger.Error(line)
		}
		s.logger.Error("configuration not reloaded")
	}
	s.tell(o)
}

func (s *service) takeUp() (changes config.Changes, err error) {
	loaded, warnings, err := s.options.load()
	// What takes effect only at a restart must be right as well, because the restart would fail
	// otherwise.
	if err := everyError(context.Background(), loaded, err, silence); err != nil {
		return changes, err
	}
	s.warn(warnings)
	changes, next := loaded.Diff(s.config), loaded.KeepStartup(s.config)
	if err := s.server.Reload(next); err != nil {
		return config.Changes{}, err
	}
	if err := s.log.Configure(next.Log); err != nil {
		s.logger.Error("log not changed", "detail", err.Error())
	}
	s.config = next
	s.logger.Info("configuration reloaded", "changed", strings.Join(changes.Reload, ","))
	if len(changes.Restart) > 0 {
		s.logger.Warn("changes that need a restart are not in effect: " + strings.Join(changes.Restart, ", "))
	}
	return changes, nil
}

// tell writes the result of a reload, and the files in use, for the next process that
// asks.
func (s *service) tell(o outcome) {
	o.HBA, o.PCP, o.Key = s.options.hba, s.options.pcp, s.options.key
	if err := o.write(outcomeFile(s.config.Files.Pid)); err != nil {
		s.logger.Error(err.Error())
	}
}

func (s *service) warn(warnings []config.Warning) {
	for _, w := range warnings {
		s.logger.Warn(w.Error())
	}
}

// banner says what is being started.
func (s *service) banner() {
	c := s.config
	s.logger.Info("pgherd "+version+" starting", "config", c.File)
	var addresses []string
	for _, host := range c.Listen.Addresses {
		addresses = append(addresses, net.JoinHostPort(host, strconv.Itoa(c.Listen.Port)))
	}
	for _, dir := range c.Listen.UnixDirectories {
		addresses = append(addresses, fmt.Sprintf("%s/.s.PGSQL.%d", dir, c.Listen.Port))
	}
	s.logger.Info("clients: " + strings.Join(addresses, ", "))
	for _, n := range c.Nodes {
		_, address := n.Address()
		s.logger.Info(fmt.Sprintf("node %d: %s", n.Index, address), "weight", n.Weight)
	}
}
