package address

import (
	"encoding/binary"
	"net"
	"net/netip"
)

// Frames by which neighbours are told, and asked. IPv4: RFC 826 and RFC 5227; IPv6: RFC 4861, sections 4.3 and 4.4.

const (
	etherARP  = 0x0806
	etherIPv6 = 0x86dd

	arpRequest, arpReply = 1, 2

	protocolICMPv6                                 = 58
	neighborSolicitation                           = 135
	neighborAdvertisement                          = 136
	targetLinkLayer                                = 2    // an option: the MAC of the address that a message is about
	overrides                                      = 0x20 // the flag that neighbours are to replace what they have
	etherHeader, ipv6Header, icmpHeader, optionMAC = 14, 40, 24, 8
)

var (
	broadcast = net.HardwareAddr{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}
	allNodes  = netip.MustParseAddr("ff02::1")
)

// announcements are the frames that make neighbours send to this MAC. Of IPv4 there are two forms, since some listen to
// requests only, and some to replies.
func announcements(ip netip.Addr, mac net.HardwareAddr) [][]byte {
	if ip.Is4() {
		return [][]byte{arp(arpRequest, mac, ip, nil, ip), arp(arpReply, mac, ip, mac, ip)}
	}
	return [][]byte{neighbor(neighborAdvertisement, ip, allNodes, ip, mac)}
}

// question is the frame that asks who has an address, and tells nothing of who asks (RFC 5227, section 2.1; RFC 4862,
// section 5.4.2).
func question(ip netip.Addr, mac net.HardwareAddr) []byte {
	if ip.Is4() {
		return arp(arpRequest, mac, netip.IPv4Unspecified(), nil, ip)
	}
	return neighbor(neighborSolicitation, netip.IPv6Unspecified(), solicited(ip), ip, mac)
}

func ether(dst, src net.HardwareAddr, kind uint16) []byte {
	frame := append(append(make([]byte, 0, 96), dst...), src...)
	return binary.BigEndian.AppendUint16(frame, kind)
}

func arp(operation uint16, mac net.HardwareAddr, from netip.Addr, to net.HardwareAddr, about netip.Addr) []byte {
	frame := ether(broadcast, mac, etherARP)
	frame = append(frame, 0, 1, 8, 0, 6, 4) // Ethernet and IPv4, with the lengths of their addresses
	frame = binary.BigEndian.AppendUint16(frame, operation)
	frame = append(append(frame, mac...), from.AsSlice()...)
	if to == nil {
		to = make(net.HardwareAddr, 6)
	}
	return append(append(frame, to...), about.AsSlice()...)
}

// neighbor is a message of neighbour discovery about an address.
func neighbor(kind byte, from, to, about netip.Addr, mac net.HardwareAddr) []byte {
	message := append(make([]byte, 0, icmpHeader+optionMAC), kind, 0, 0, 0, 0, 0, 0, 0)
	if kind == neighborAdvertisement {
		message[4] = overrides
	}
	message = append(message, about.AsSlice()...)
	if kind == neighborAdvertisement { // who asks from :: must not say its MAC
		message = append(append(message, targetLinkLayer, optionMAC/8), mac...)
	}
	binary.BigEndian.PutUint16(message[2:], checksum(from, to, message))

	frame := ether(multicast(to), mac, etherIPv6)
	frame = append(frame, 0x60, 0, 0, 0, 0, byte(len(message)), protocolICMPv6, 255)
	frame = append(append(frame, from.AsSlice()...), to.AsSlice()...)
	return append(frame, message...)
}

// solicited is the group to which whoever has an address listens (RFC 4291, section 2.7.1).
func solicited(ip netip.Addr) netip.Addr {
	group := netip.MustParseAddr("ff02::1:ff00:0").As16()
	own := ip.As16()
	copy(group[13:], own[13:])
	return netip.AddrFrom16(group)
}

// multicast is the MAC of an IPv6 group (RFC 2464, section 7).
func multicast(group netip.Addr) net.HardwareAddr {
	bytes := group.As16()
	return append(net.HardwareAddr{0x33, 0x33}, bytes[12:]...)
}

// checksum is the one of ICMPv6, with its pseudo-header (RFC 8200, section 8.1). The message has an even length.
func checksum(from, to netip.Addr, message []byte) uint16 {
	sum := uint32(len(message)) + protocolICMPv6
	for _, part := range [][]byte{from.AsSlice(), to.AsSlice(), message} {
		for i := 0; i < len(part); i += 2 {
			sum += uint32(binary.BigEndian.Uint16(part[i:]))
		}
	}
	for sum > 0xffff {
		sum = sum>>16 + sum&0xffff
	}
	return ^uint16(sum)
}

// claimant is the MAC of who says in a frame that it has an address; nil if it says no such thing.
func claimant(frame []byte, ip netip.Addr) net.HardwareAddr {
	if len(frame) < etherHeader {
		return nil
	}
	kind, body := binary.BigEndian.Uint16(frame[12:]), frame[etherHeader:]
	switch {
	case kind == etherARP && ip.Is4() && len(body) >= 28:
		if from, _ := netip.AddrFromSlice(body[14:18]); from == ip {
			return net.HardwareAddr(body[8:14])
		}
	case kind == etherIPv6 && ip.Is6() && len(body) >= ipv6Header+icmpHeader && body[6] == protocolICMPv6 && body[ipv6Header] == neighborAdvertisement:
		if about, _ := netip.AddrFromSlice(body[ipv6Header+8 : ipv6Header+icmpHeader]); about == ip {
			return net.HardwareAddr(frame[6:12])
		}
	}
	return nil
}
