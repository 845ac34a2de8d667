package ring

import (
	"fmt"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"pgherd/proxy/fifo"
)

const (
	epollEvents = 128 // sockets served per Turn
	recvBurst   = 8   // receives per socket and Turn
)

// epoll is the engine for kernels without io_uring, with which io_uring is also compared. Receiving is
// level-triggered; writability is watched only after a send was refused.
type epoll struct {
	system
	loop     *Loop
	fd       int
	wakeup   eventfd
	memory   []byte
	size     int
	provided []int // shared buffers, a stack
	sockets  []*epollSocket
	asked    fifo.Queue[*epollSocket] // to be looked at in the next Turn: new sends, stops
	events   [epollEvents]unix.EpollEvent
	limit    unix.Timespec
	reported bool // a completion in this Turn
	enters   uint64
}

// epollSocket is the state of one slot.
type epollSocket struct {
	id        ID
	fd        int
	mask      uint32 // registered with the kernel
	into      []byte
	receiving bool
	stopRecv  bool
	message   message
	sending   bool
	refused   bool // the send waits for writability
	stopSend  bool
	asked     bool
}

func (e *epoll) Name() string { return "epoll" }

func (e *epoll) Start(l *Loop) error {
	e.loop = l
	e.memory, e.size = l.Memory()
	fd, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return fmt.Errorf("create epoll: %w", err)
	}
	e.fd = fd
	if err := e.wakeup.open(); err != nil {
		_ = unix.Close(fd)
		return fmt.Errorf("create eventfd: %w", err)
	}
	// Edge-triggered: every signal reports once and nobody has to read the counter.
	return e.control(unix.EPOLL_CTL_ADD, e.wakeup.fd, 0, unix.EPOLLIN|unix.EPOLLET)
}

func (e *epoll) control(op, fd int, id ID, mask uint32) error {
	ev := unix.EpollEvent{Events: mask, Fd: int32(uint32(id)), Pad: int32(id >> 32)}
	return unix.EpollCtl(e.fd, op, fd, &ev)
}

func (e *epoll) Provide(n int) { e.provided = append(e.provided, n) }

func (e *epoll) Add(id ID, fd int) error {
	for int(id.Slot()) >= len(e.sockets) {
		e.sockets = append(e.sockets, &epollSocket{})
	}
	s := e.sockets[id.Slot()]
	*s = epollSocket{id: id, fd: fd, mask: unix.EPOLLIN, asked: s.asked}
	return e.control(unix.EPOLL_CTL_ADD, fd, id, s.mask)
}

func (e *epoll) Remove(id ID, fd int) {
	_ = e.control(unix.EPOLL_CTL_DEL, fd, id, 0) // fails only if Add failed
	s := e.sockets[id.Slot()]
	*s = epollSocket{asked: s.asked}
}

func (e *epoll) Recv(id ID, _ int, into []byte, _ int) {
	s := e.sockets[id.Slot()]
	s.receiving, s.stopRecv, s.into = true, false, into
	e.watch(s, s.mask|unix.EPOLLIN)
}

func (e *epoll) StopRecv(id ID) {
	s := e.sockets[id.Slot()]
	s.stopRecv = s.receiving
	e.ask(s)
}

func (e *epoll) Send(id ID, _ int, parts [][]byte) {
	s := e.sockets[id.Slot()]
	s.message.set(parts)
	s.sending, s.stopSend, s.refused = true, false, false
	e.ask(s)
}

func (e *epoll) StopSend(id ID) {
	s := e.sockets[id.Slot()]
	s.stopSend = s.sending
	e.ask(s)
}

func (e *epoll) ask(s *epollSocket) {
	if !s.asked {
		s.asked = true
		e.asked.Push(s)
	}
}

func (e *epoll) Turn(wait time.Duration) error {
	e.reported = false
	for e.asked.Len() > 0 {
		s := e.asked.Pop()
		s.asked = false
		e.stop(s)
		if s.sending && !s.refused {
			e.send(s)
		}
	}
	n, err := e.wait(wait)
	for i := range e.events[:n] {
		e.serve(&e.events[i])
	}
	return err
}

// wait first waits briefly; for long only if nothing has happened at all.
func (e *epoll) wait(wait time.Duration) (int, error) {
	short := brief(wait)
	n, errno := e.enter(short, true)
	if n == 0 && errno == 0 && short != wait && !e.reported {
		n, errno = e.enter(rest(wait), false)
	}
	if errno != 0 && errno != unix.EINTR {
		return 0, fmt.Errorf("wait for epoll: %w", errno)
	}
	return n, nil
}

func (e *epoll) enter(wait time.Duration, raw bool) (int, syscall.Errno) {
	e.enters++
	if wait < 0 {
		return epollWait(e.fd, e.events[:], nil, raw)
	}
	e.limit = unix.NsecToTimespec(int64(wait))
	return epollWait(e.fd, e.events[:], &e.limit, raw)
}

func (e *epoll) serve(ev *unix.EpollEvent) {
	id := ID(uint32(ev.Fd)) | ID(uint32(ev.Pad))<<32
	if id == 0 {
		return // woken
	}
	s := e.sockets[id.Slot()]
	if s.id != id {
		return
	}
	if s.refused && ev.Events&(unix.EPOLLOUT|unix.EPOLLERR|unix.EPOLLHUP) != 0 {
		e.send(s)
	}
	if s.receiving && ev.Events&^unix.EPOLLOUT != 0 {
		e.receive(s)
	} else {
		e.watch(s, e.wanted(s))
	}
}

// wanted is what a socket is to be watched for. A socket that is watched for nothing still reports hang-ups.
// It is edge-triggered, so that it reports them once.
func (e *epoll) wanted(s *epollSocket) uint32 {
	var mask uint32
	if s.receiving {
		mask = unix.EPOLLIN
	}
	if s.refused {
		mask |= unix.EPOLLOUT
	}
	if mask == 0 {
		mask = unix.EPOLLET
	}
	return mask
}

func (e *epoll) watch(s *epollSocket, mask uint32) {
	if mask&(unix.EPOLLIN|unix.EPOLLOUT) != 0 {
		mask &^= unix.EPOLLET
	}
	if mask != s.mask {
		s.mask = mask
		_ = e.control(unix.EPOLL_CTL_MOD, s.fd, s.id, mask) // fails only if Add failed
	}
}

func (e *epoll) stop(s *epollSocket) {
	if s.stopRecv && s.receiving {
		s.receiving, s.into = false, nil
		e.report(Event{ID: s.id, Op: Received, Shared: NoBuffer, Err: unix.ECANCELED})
	}
	if s.stopSend && s.sending {
		s.sending, s.refused = false, false
		e.report(Event{ID: s.id, Op: Sent, Shared: NoBuffer, Err: unix.ECANCELED})
	}
}

func (e *epoll) report(ev Event) (more bool) {
	e.reported = true
	return e.loop.Complete(ev)
}

// receive takes what there is, up to the burst, and less when the Conn wants no more.
func (e *epoll) receive(s *epollSocket) {
	for range recvBurst {
		if !s.receiving || !e.receiveOnce(s) {
			return
		}
	}
}

func (e *epoll) receiveOnce(s *epollSocket) (more bool) {
	ev := Event{ID: s.id, Op: Received, Shared: NoBuffer}
	into := s.into
	if into == nil {
		into, ev.Shared = e.top()
	}
	if into == nil {
		ev.Err = unix.ENOBUFS
	} else {
		ev.N, ev.Err = rawRecv(s.fd, into)
	}
	if ev.Err == unix.EAGAIN || ev.Err == unix.EINTR {
		return false // the socket reports again
	}
	if ev.Err != 0 || ev.N == 0 {
		ev.N, ev.Shared = 0, NoBuffer
	} else if ev.Shared != NoBuffer {
		e.provided = e.provided[:len(e.provided)-1]
		ev.More = true
	}
	s.receiving = ev.More
	return e.report(ev) && ev.N == len(into)
}

// top is the shared buffer to fill next.
func (e *epoll) top() (into []byte, n int) {
	if len(e.provided) == 0 {
		return nil, NoBuffer
	}
	n = e.provided[len(e.provided)-1]
	return e.memory[n*e.size : (n+1)*e.size], n
}

func (e *epoll) send(s *epollSocket) {
	n, errno := rawSendmsg(s.fd, &s.message)
	s.refused = errno == unix.EAGAIN
	if s.refused {
		e.watch(s, e.wanted(s))
		return
	}
	if errno != 0 {
		n = 0
	}
	s.sending = false
	e.report(Event{ID: s.id, Op: Sent, Shared: NoBuffer, N: n, Err: errno})
}

func (e *epoll) Wake() { e.wakeup.signal() }

func (e *epoll) Enters() uint64 { return e.enters }

func (e *epoll) Features() []Feature {
	return []Feature{{Name: "epoll", Used: true, MinVersion: "5.11"}}
}

func (e *epoll) Close() error {
	e.wakeup.close()
	return unix.Close(e.fd)
}
