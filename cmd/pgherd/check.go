package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"path/filepath"

	"golang.org/x/sys/unix"

	"pgherd/proxy"
	"pgherd/proxy/config"
)

// check finds every error of a configuration that would make a start fail. It writes to out
// everything of which a start would warn.
func (o *options) check(ctx context.Context, out io.Writer) (*config.Config, error) {
	c, warnings, err := o.load()
	return c, everyError(ctx, c, err, complain(out, warnings))
}

// everyError joins the errors in a configuration file and the errors in what the file
// names.
func everyError(ctx context.Context, c *config.Config, err error, log *slog.Logger) error {
	if c == nil {
		return err
	}
	return errors.Join(err, proxy.Check(ctx, c, log), checkPidFolder(c))
}

// complain prints warnings, and returns the log for further ones.
func complain(out io.Writer, warnings []config.Warning) *slog.Logger {
	log := slog.New(complaints{out: out})
	for _, w := range warnings {
		log.Warn(w.Error())
	}
	return log
}

// checkPidFolder returns an error unless claimPidFile can write to the folder, or make
// it.
func checkPidFolder(c *config.Config) error {
	folder := filepath.Dir(c.Files.Pid)
	err := unix.Access(folder, unix.W_OK|unix.X_OK)
	if err == nil || folder == runFolder && writable(filepath.Dir(runFolder)) {
		return nil
	}
	return c.Blame("pid_file_name", fmt.Errorf("write to %s: %w; make the folder, or name another file", folder, err))
}

// complaints is a log whose warnings people read.
type complaints struct {
	out   io.Writer
	attrs []slog.Attr
}

func (c complaints) Enabled(_ context.Context, level slog.Level) bool { return level >= slog.LevelWarn }

func (c complaints) Handle(_ context.Context, r slog.Record) error {
	text := "warning: " + r.Message
	for _, a := range c.attrs {
		text += " " + a.String()
	}
	r.Attrs(func(a slog.Attr) bool {
		text += " " + a.String()
		return true
	})
	_, err := fmt.Fprintln(c.out, text)
	return err
}

func (c complaints) WithAttrs(attrs []slog.Attr) slog.Handler {
	c.attrs = append(c.attrs[:len(c.attrs):len(c.attrs)], attrs...)
	return c
}

func (c complaints) WithGroup(string) slog.Handler { return c }
