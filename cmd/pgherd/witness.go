package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"pgherd/proxy"
	"pgherd/proxy/config"
	"pgherd/vip/address"
)

// witness is a member that decides with the others and promises them the addresses, and neither serves clients nor holds an
// address: the third host of two sites. Where it is elected, it has another one lead.
type witness struct {
	cluster *cluster
	leading leading // the cluster
	log     *slog.Logger
	turned  chan struct{} // room for one
	stop    chan struct{}
	once    sync.Once
}

// leading is what may lead, and can have another one lead.
type leading interface {
	Leads() bool
	Resign() error
}

// resignAgain is how long a witness leads before it tries again to have another one lead.
const resignAgain = time.Second

func witnessCommand(o *options) *cobra.Command {
	return &cobra.Command{
		Use:   "witness",
		Short: "Be one of several pgherds that decides with the others, and serves no client",
		Args:  cobra.NoArgs,
		RunE:  func(*cobra.Command, []string) error { return launch(o, startWitness) },
	}
}

func startWitness(_ context.Context, c *config.Config, log *slog.Logger) (Server, error) {
	if !c.Watchdog.Use {
		return nil, c.Blame("use_watchdog", errors.New("a witness needs use_watchdog = on"))
	}
	if !c.Watchdog.Witness(c.Watchdog.Self) {
		return nil, c.Blame("wd_witnesses", fmt.Errorf("this is a witness, and its number %d is not there", c.Watchdog.Self))
	}
	w := &witness{log: log, turned: make(chan struct{}, 1), stop: make(chan struct{})}
	m := proxy.Witness(log)
	s := memberOf(c)
	s.Log, s.Machine, s.Epoch, s.Licensed, s.Turned = log, m, m.Epoch, m.License, w.turn
	var err error
	if s.Addresses, err = address.Parse(c.Watchdog.Addresses); err != nil { // whatever their interfaces: it only promises them
		return nil, c.Blame("delegate_ip", err)
	}
	s.Witness = true
	if w.cluster, err = started(s); err != nil {
		return nil, err
	}
	w.leading = w.cluster
	again := time.NewTicker(resignAgain)
	go func() {
		defer again.Stop()
		w.run(again.C)
	}()
	return w, nil
}

// turn is called when the witness begins or ceases to lead.
func (w *witness) turn() {
	select {
	case w.turned <- struct{}{}:
	default:
	}
}

// run has another member lead, and tries that again while none is ready.
func (w *witness) run(again <-chan time.Time) {
	warned := false
	for {
		select {
		case <-w.turned:
		case <-again:
		case <-w.stop:
			return
		}
		if !w.leading.Leads() {
			warned = false
			continue
		}
		if err := w.leading.Resign(); err != nil && !warned {
			warned = true
			w.log.Warn("the witness was elected, and nobody takes over yet", "error", err)
		}
	}
}

// Reload changes nothing: all that concerns a witness takes effect at a restart.
func (w *witness) Reload(*config.Config) error { return nil }

func (w *witness) Drain(string) { w.once.Do(func() { close(w.stop) }) }

func (w *witness) Wait() error {
	<-w.stop
	return w.cluster.Close()
}
