package ring

import (
	"errors"
	"time"
)

type epoll struct{}

func (*epoll) Name() string { return "epoll" }
func (*epoll) Start(*Loop) error { return errors.ErrUnsupported }
func (*epoll) Provide(int) {}
func (*epoll) Add(ID, int) error { return nil }
func (*epoll) Remove(ID, int) {}
func (*epoll) Recv(ID, int, []byte) {}
func (*epoll) StopRecv(ID) {}
func (*epoll) Send(ID, int, [][]byte) {}
func (*epoll) StopSend(ID) {}
func (*epoll) ShutdownWrite(int) error { return nil }
func (*epoll) CloseSocket(int) {}
func (*epoll) Turn(time.Duration) error { return nil }
func (*epoll) Wake() {}
func (*epoll) Enters() uint64 { return 0 }
func (*epoll) Features() []Feature { return nil }
func (*epoll) Close() error { return nil }
