package main

import (
	"context"
	"errors"
	"log/slog"
	"sync"

	"github.com/spf13/cobra"

	"pgherd/proxy"
	"pgherd/proxy/config"
	"pgherd/vip/address"
)

// witness is a member that decides with the others and promises them the addresses, and neither serves clients nor holds an
// address: the third host of two sites. Where it is elected, it has another one lead.
type witness struct {
	cluster *cluster
	log     *slog.Logger
	turned  chan struct{} // room for one
	stop    chan struct{}
	once    sync.Once
}

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
	go w.run()
	return w, nil
}

// turn is called when the witness begins or ceases to lead.
func (w *witness) turn() {
	select {
	case w.turned <- struct{}{}:
	default:
	}
}

// run has another member lead. If none is ready, nobody decides anything until one is.
func (w *witness) run() {
	for {
		select {
		case <-w.turned:
			if err := w.cluster.Resign(); err != nil {
				w.log.Warn("the witness was elected, and nobody takes over", "error", err)
			}
		case <-w.stop:
			return
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
