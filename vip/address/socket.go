package address

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// socket sends frames on one interface, and hears those in which somebody says that he has the address. It is opened once:
// closing one waits for all processors, which is too long while an address moves.
type socket struct {
	file  *os.File
	kind  uint16 // of frames
	index int    // the interface that it is bound to; 0: none yet
}

func openSocket(ip netip.Addr) (*socket, error) {
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("open a packet socket (it needs CAP_NET_RAW): %w", err)
	}
	program := filter(ip)
	err = unix.SetsockoptSockFprog(fd, unix.SOL_SOCKET, unix.SO_ATTACH_FILTER, &unix.SockFprog{Len: uint16(len(program)), Filter: &program[0]})
	if err != nil {
		_ = unix.Close(fd)
		return nil, fmt.Errorf("filter what a packet socket hears: %w", err)
	}
	kind := uint16(etherARP)
	if ip.Is6() {
		kind = etherIPv6
	}
	return &socket{file: os.NewFile(uintptr(fd), "packet socket"), kind: kind}, nil
}

// use binds the socket to an interface, which may be a new one with an old name.
func (s *socket) use(index int) error {
	if s.index == index {
		return nil
	}
	raw, err := s.file.SyscallConn()
	if err != nil {
		return err
	}
	address := &unix.SockaddrLinklayer{Protocol: binary.NativeEndian.Uint16(binary.BigEndian.AppendUint16(nil, s.kind)), Ifindex: index}
	if failed := raw.Control(func(fd uintptr) { err = unix.Bind(int(fd), address) }); failed != nil {
		err = failed
	}
	if err != nil {
		return fmt.Errorf("bind a packet socket to interface %d: %w", index, err)
	}
	s.index = index
	return nil
}

// send sends frames, all of them even if one fails.
func (s *socket) send(frames [][]byte) (err error) {
	for _, f := range frames {
		if _, failed := s.file.Write(f); failed != nil {
			err = fmt.Errorf("send to neighbours: %w", failed)
		}
	}
	return err
}

// hear tells who says that he has the address, until the socket is closed.
func (s *socket) hear(ip netip.Addr, tell func(net.HardwareAddr)) {
	frame := make([]byte, 2048)
	for {
		n, err := s.file.Read(frame)
		switch {
		case err == nil:
			if mac := claimant(frame[:n], ip); mac != nil {
				tell(append(net.HardwareAddr(nil), mac...))
			}
		case errors.Is(err, os.ErrClosed):
			return
		default: // the interface is down or gone, for instance; the Keeper binds to the next one
			time.Sleep(hearAgain)
		}
	}
}

// hearAgain is how long nothing is heard after an error.
const hearAgain = 100 * time.Millisecond

// filter has the kernel drop all but claims of the address, so that a busy interface wakes nobody.
func filter(ip netip.Addr) []unix.SockFilter {
	const word, octet, equal, end = unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, unix.BPF_LD | unix.BPF_B | unix.BPF_ABS,
		unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, unix.BPF_RET | unix.BPF_K
	type field struct {
		load      uint16
		at, value uint32
	}
	var fields []field
	own := ip.AsSlice()
	if ip.Is4() {
		fields = []field{{word, etherHeader + 14, binary.BigEndian.Uint32(own)}}
	} else {
		fields = []field{{octet, etherHeader + 6, protocolICMPv6}, {octet, etherHeader + ipv6Header, neighborAdvertisement}}
		for i := 0; i < len(own); i += 4 {
			fields = append(fields, field{word, uint32(etherHeader + ipv6Header + 8 + i), binary.BigEndian.Uint32(own[i:])})
		}
	}
	var program []unix.SockFilter
	for i, f := range fields {
		reject := uint8(2*(len(fields)-i) - 1) // instructions to skip
		program = append(program, unix.SockFilter{Code: f.load, K: f.at}, unix.SockFilter{Code: equal, Jf: reject, K: f.value})
	}
	return append(program, unix.SockFilter{Code: end, K: 0xffff}, unix.SockFilter{Code: end, K: 0})
}
