package ring

import (
	"errors"
	"time"
)

type uring struct{}

func (*uring) Name() string             { return "uring" }
func (*uring) Start(*Loop) error        { return errors.ErrUnsupported }
func (*uring) Provide(int)              {}
func (*uring) Add(ID, int) error        { return nil }
func (*uring) Remove(ID, int)           {}
func (*uring) Recv(ID, int, []byte)     {}
func (*uring) StopRecv(ID)              {}
func (*uring) Send(ID, int, [][]byte)   {}
func (*uring) StopSend(ID)              {}
func (*uring) ShutdownWrite(int) error  { return nil }
func (*uring) CloseSocket(int)          {}
func (*uring) Turn(time.Duration) error { return nil }
func (*uring) Wake()                    {}
func (*uring) Enters() uint64           { return 0 }
func (*uring) Features() []Feature      { return nil }
func (*uring) Close() error             { return nil }
