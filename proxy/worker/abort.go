package worker

import (
	"slices"
	"time"

	"pgherd/proxy/pool"
	"pgherd/proxy/ring"
	"pgherd/proxy/wire"
)

// abortLimit is how long a server may take to end after it was told to stop.
const abortLimit = 10 * time.Second

// aborted is a server whose place must not become free before PostgreSQL has ended it.
// It is a server at work whose client has left, and which is told to stop, or an idle
// one of a database that is to be emptied. It is told goodbye, and counts until it has
// ended.
type aborted struct {
	w        *Worker
	s        *pool.Server
	deadline time.Time
}

// abort ends a server that is at work.
func (w *Worker) abort(s *pool.Server) {
	if !w.closing {
		w.env.Go(func() {
			if err := w.env.Connect.Cancel(w.workers.life, s.Key.Node, s.PID, s.CancelKey); err != nil {
				w.env.Log.Warn("cancel the statement of a client that has left", "node", s.Key.Node, "error", err)
			}
		})
	}
	w.dismiss(s)
}

// dismiss says goodbye to a server, which counts until it has ended.
func (w *Worker) dismiss(s *pool.Server) {
	if w.closing {
		w.discard(s)
		return
	}
	a := &aborted{w, s, w.now.Add(abortLimit)}
	s.Endpoint.(endpoint).conn().SetOwner(a)
	s.Endpoint.Write(wire.AppendTerminate(nil))
	w.aborting = append(w.aborting, a)
	a.Ready(nil)
}

// Ready drops what the server still sends, until it has ended.
func (a *aborted) Ready(*ring.Conn) {
	for chunk := a.s.Endpoint.Take(); chunk != nil; chunk = a.s.Endpoint.Take() {
		chunk.Release()
	}
	if a.s.Endpoint.Ended() != nil {
		a.end()
	}
}

// end closes the server, once.
func (a *aborted) end() {
	i := slices.Index(a.w.aborting, a)
	if i < 0 {
		return
	}
	a.w.aborting = slices.Delete(a.w.aborting, i, i+1)
	a.w.discard(a.s)
}

// closeAborted closes the servers that have not ended in time.
func (w *Worker) closeAborted() {
	for _, a := range slices.Clone(w.aborting) {
		if w.closing || !w.now.Before(a.deadline) {
			a.end()
		}
	}
}
