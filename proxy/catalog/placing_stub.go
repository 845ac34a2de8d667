package catalog

import "pgherd/proxy/route"

// stub knows nothing yet, which keeps every statement on the primary.
type stub struct{ s *Snapshot }

func (stub) Function(_, _ string) route.Known { return route.Unheard }
func (stub) Relation(_, _ string) route.Known { return route.Unheard }
func (stub) Anything() route.Known            { return route.Unheard }

// Placing is what routing is told.
func (s *Snapshot) Placing() route.Catalog { return stub{s} }
// ReadCommitted is not known yet.
func (s *Snapshot) ReadCommitted() bool    { return false }
