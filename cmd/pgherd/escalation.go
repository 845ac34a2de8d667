package main

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"pgherd/proxy/scripts"
)

// escalationLimit is how long a command may take. The next one waits for it.
const escalationLimit = time.Minute

// escalation runs commands of the operator's when this pgherd begins to lead, and when it ceases to. They delay nothing.
type escalation struct {
	log          *slog.Logger
	begins, ends string // wd_escalation_command and wd_de_escalation_command; "": none
	leads        func() bool
	turned       chan struct{} // room for one
	stop         chan struct{}
	over         sync.WaitGroup
}

func newEscalation(log *slog.Logger, begins, ends string) *escalation {
	return &escalation{log: log, begins: begins, ends: ends, turned: make(chan struct{}, 1), stop: make(chan struct{})}
}

// start begins to look at who leads.
func (e *escalation) start(leads func() bool) {
	e.leads = leads
	e.over.Go(e.run)
	e.turn()
}

// turn says that this pgherd may have begun or ceased to lead.
func (e *escalation) turn() {
	select {
	case e.turned <- struct{}{}:
	default:
	}
}

// close returns once the last command has ended. Who does not lead by then has been told.
func (e *escalation) close() {
	close(e.stop)
	e.over.Wait()
}

func (e *escalation) run() {
	led := false
	look := func() {
		if leads := e.leads(); leads != led {
			led = leads
			e.tell(led)
		}
	}
	for {
		select {
		case <-e.turned:
			look()
		case <-e.stop:
			look()
			return
		}
	}
}

func (e *escalation) tell(leads bool) {
	name, command := "wd_de_escalation_command", e.ends
	if leads {
		name, command = "wd_escalation_command", e.begins
	}
	if command == "" {
		return
	}
	output, err := scripts.Run(context.Background(), command, escalationLimit)
	if err != nil {
		e.log.Error(name+" failed", "command", command, "error", err, "output", output)
		return
	}
	e.log.Info(name+" has ended", "command", command, "output", output)
}
