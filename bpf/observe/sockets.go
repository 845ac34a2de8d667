package observe

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// socket is a TCP connection that lives, as sock_diag(7) tells it.
type socket struct {
	local          uint16 // port
	remote         netip.AddrPort
	received, sent uint64
	retransmits    uint32
	rtt            time.Duration
	cgroup         uint64
}

// Limits of a question to the kernel.
const (
	socketsLimit = 1 << 20 // sockets of the machine that are looked at
	askWithin    = time.Second
	answerBytes  = 64 << 10 // of one read; the kernel sends half of that at most
)

// The kernel's numbers.
const (
	byFamily      = 20 // SOCK_DIAG_BY_FAMILY
	wantInfo      = 1 << (attrInfo - 1)
	attrInfo      = 2                                        // INET_DIAG_INFO
	attrCgroup    = 21                                       // INET_DIAG_CGROUP_ID
	allButListen  = 1<<1 | 1<<4 | 1<<5 | 1<<8 | 1<<9 | 1<<11 // ESTABLISHED, FIN_WAIT1, FIN_WAIT2, CLOSE_WAIT, LAST_ACK, CLOSING
	messageBytes  = 72                                       // struct inet_diag_msg
	infoBytes     = 136                                      // struct tcp_info up to bytes_received
	infoRTT       = 68                                       // offsets in it
	infoRetrans   = 100
	infoSent      = 120
	infoReceived  = 128
	attrHeader    = 4
	attrAlignment = 4
)

// nobody is a cgroup that is not there.
const nobody = 0

// sockets are the connections of a cgroup that live.
func sockets(cgroup uint64) (all []socket, err error) {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_SOCK_DIAG)
	if err != nil {
		return nil, fmt.Errorf("open netlink: %w", err)
	}
	defer unix.Close(fd)
	limit := unix.NsecToTimeval(int64(askWithin))
	if err := unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &limit); err != nil {
		return nil, fmt.Errorf("limit netlink: %w", err)
	}
	for _, family := range []byte{unix.AF_INET, unix.AF_INET6} {
		if err := unix.Sendto(fd, question(family), 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
			return nil, fmt.Errorf("ask netlink: %w", err)
		}
		err := answers(fd, func(body []byte) {
			if s, ok := readSocket(body); ok && s.cgroup == cgroup {
				all = append(all, s)
			}
		})
		if err != nil {
			return nil, err
		}
	}
	return all, nil
}

// question is struct nlmsghdr and struct inet_diag_req_v2: all connections of a family.
func question(family byte) []byte {
	q := make([]byte, 72)
	native := binary.NativeEndian
	native.PutUint32(q, uint32(len(q)))
	native.PutUint16(q[4:], byFamily)
	native.PutUint16(q[6:], unix.NLM_F_REQUEST|unix.NLM_F_DUMP)
	q[16], q[17], q[18] = family, unix.IPPROTO_TCP, wantInfo
	native.PutUint32(q[20:], allButListen)
	return q
}

// answers passes on each message of one answer.
func answers(fd int, each func(body []byte)) error {
	buffer := make([]byte, answerBytes)
	for range socketsLimit {
		n, _, err := unix.Recvfrom(fd, buffer, 0)
		if err != nil {
			return fmt.Errorf("read netlink: %w", err)
		}
		messages, err := syscall.ParseNetlinkMessage(buffer[:n])
		if err != nil {
			return fmt.Errorf("read netlink: %w", err)
		}
		for _, m := range messages {
			switch m.Header.Type {
			case unix.NLMSG_DONE:
				return nil
			case unix.NLMSG_ERROR:
				return fmt.Errorf("ask netlink: %w", errorOf(m.Data))
			default:
				each(m.Data)
			}
		}
	}
	return errors.New("read netlink: it does not end")
}

// errorOf reads struct nlmsgerr.
func errorOf(data []byte) error {
	if len(data) < 4 {
		return unix.EBADMSG
	}
	return unix.Errno(-int32(binary.NativeEndian.Uint32(data)))
}

// readSocket reads struct inet_diag_msg and its attributes; false: it is no connection that the
// kernel tells enough of.
func readSocket(body []byte) (s socket, ok bool) {
	if len(body) < messageBytes {
		return s, false
	}
	s.local = binary.BigEndian.Uint16(body[4:])
	remote := netip.AddrFrom16([16]byte(body[24:40])).Unmap()
	if body[0] == unix.AF_INET {
		remote = netip.AddrFrom4([4]byte(body[24:28]))
	}
	s.remote = netip.AddrPortFrom(remote, binary.BigEndian.Uint16(body[6:]))
	native := binary.NativeEndian
	for rest := body[messageBytes:]; len(rest) >= attrHeader; {
		length, kind := int(native.Uint16(rest)), native.Uint16(rest[2:])
		if length < attrHeader || length > len(rest) {
			return s, false
		}
		value := rest[attrHeader:length]
		switch {
		case kind == attrCgroup && len(value) >= 8:
			s.cgroup = native.Uint64(value)
		case kind == attrInfo && len(value) >= infoBytes:
			s.rtt = time.Duration(native.Uint32(value[infoRTT:])) * time.Microsecond
			s.retransmits = native.Uint32(value[infoRetrans:])
			s.sent, s.received = native.Uint64(value[infoSent:]), native.Uint64(value[infoReceived:])
			ok = true
		}
		rest = rest[min(len(rest), (length+attrAlignment-1)&^(attrAlignment-1)):]
	}
	return s, ok
}
