//go:build ignore

/* The lease of a virtual address, as the kernel enforces it on one interface: past its deadline, or
 * once the process that holds it is gone, the host neither hears nor says anything in the address's
 * name. No code of the holder's has to run for it. */
#include "../kernel.h"

char terms[] SEC("license") = "PostgreSQL";

/* An IPv4 address is mapped into IPv6. */
struct address {
	u8 ip[16];
};

/* deadline is on CLOCK_BOOTTIME, in nanoseconds; 0: another host has announced the address. */
struct lease {
	u64 deadline;
	u8 mac[6]; /* of this interface */
	u8 unused[2];
};

/* Another host has announced the address, with its MAC. */
struct rival {
	struct address address;
	u8 mac[6];
	u8 unused[2];
};
const struct rival *rival_in_btf __attribute__((unused)); /* so that Go gets the type */

enum { LEASES = 64, RIVAL_BYTES = 1 << 16 };

/* Addresses that are not in it are not ours to judge. */
struct {
	NUMBER(type, MAP_HASH);
	NUMBER(max_entries, LEASES);
	TYPE(key, struct address);
	TYPE(value, struct lease);
} leases SEC(".maps");

struct {
	NUMBER(type, MAP_RINGBUF);
	NUMBER(max_entries, RIVAL_BYTES);
} rivals SEC(".maps");

/* The process alone holds these, and they are pinned nowhere: the kernel empties them when it dies.
 * An array of programs has one type of them, so each direction has its own. */
struct {
	NUMBER(type, MAP_PROG_ARRAY);
	NUMBER(max_entries, 1);
	TYPE(key, u32);
	TYPE(value, u32);
} alive_in SEC(".maps"), alive_out SEC(".maps");

enum { ETHER_IP = 0x0008, ETHER_ARP = 0x0608, ETHER_IPV6 = 0xdd86 }; /* in network order */
enum { IP_ICMPV6 = 58, SOLICITATION = 135, ADVERTISEMENT = 136, TARGET_MAC = 2, SAME_LINK = 255 };

struct ether {
	u8 to[6], from[6];
	u16 kind;
} __attribute__((packed));

struct arp {
	u16 hardware, protocol;
	u8 hardware_bytes, protocol_bytes;
	u16 operation;
	u8 sender_mac[6], sender[4], target_mac[6], target[4];
} __attribute__((packed));

struct ipv4 {
	u8 unread[12], from[4], to[4];
} __attribute__((packed));

struct ipv6 {
	u8 unread[6], next, hops, from[16], to[16];
} __attribute__((packed));

/* Of TCP: where the header ends, in the upper half, in words; and the flags. */
struct tcp {
	u8 unread[12], offset, flags;
} __attribute__((packed));

enum { IP_TCP = 6, TCP_FIN = 1, TCP_RST = 4 };

/* A neighbour solicitation or advertisement. */
struct neighbor {
	u8 type, code, unread[6], target[16];
} __attribute__((packed));

struct mac_option {
	u8 type, eights, mac[6];
} __attribute__((packed));

/* What a frame says. An address that is not there is ::, which nobody leases. */
struct frame {
	struct address from, to;  /* who speaks, who is asked for or spoken to */
	struct address announced; /* by mac */
	u8 mac[6];
};

ALWAYS void mapped(struct address *a, const u8 *ip)
{
	a->ip[10] = a->ip[11] = 0xff;
	__builtin_memcpy(a->ip + 12, ip, 4);
}

ALWAYS void read_arp(struct arp *a, void *end, struct frame *f)
{
	if ((void *)(a + 1) > end || a->hardware_bytes != 6 || a->protocol_bytes != 4)
		return;
	mapped(&f->from, a->sender);
	mapped(&f->to, a->target);
	f->announced = f->from;
	__builtin_memcpy(f->mac, a->sender_mac, 6);
}

/* f->mac is the frame's sender already, if an advertisement names no other. */
ALWAYS void read_neighbor(struct neighbor *n, void *end, struct frame *f)
{
	struct mac_option *o = (void *)(n + 1);

	if ((void *)(n + 1) > end || n->code)
		return;
	if (n->type == SOLICITATION)
		__builtin_memcpy(&f->to, n->target, 16);
	if (n->type != ADVERTISEMENT)
		return;
	__builtin_memcpy(&f->announced, n->target, 16);
	if ((void *)(o + 1) <= end && o->type == TARGET_MAC)
		__builtin_memcpy(f->mac, o->mac, 6);
}

ALWAYS void read_ipv6(struct ipv6 *ip, void *end, struct frame *f)
{
	if ((void *)(ip + 1) > end)
		return;
	__builtin_memcpy(&f->from, ip->from, 16);
	__builtin_memcpy(&f->to, ip->to, 16);
	if (ip->next == IP_ICMPV6 && ip->hops == SAME_LINK)
		read_neighbor((void *)(ip + 1), end, f);
}

ALWAYS void read(void *data, void *end, struct frame *f)
{
	struct ether *e = data;
	struct ipv4 *ip = (void *)(e + 1);

	if ((void *)(e + 1) > end)
		return;
	__builtin_memcpy(f->mac, e->from, 6);
	if (e->kind == ETHER_ARP) {
		read_arp((void *)(e + 1), end, f);
	} else if (e->kind == ETHER_IPV6) {
		read_ipv6((void *)(e + 1), end, f);
	} else if (e->kind == ETHER_IP && (void *)(ip + 1) <= end) {
		mapped(&f->from, ip->from);
		mapped(&f->to, ip->to);
	}
}

/* There is no memcmp to call, and the compiler makes none of six bytes. */
ALWAYS int same_mac(const u8 *a, const u8 *b)
{
	u8 differs = 0;

	for (int i = 0; i < 6; i++)
		differs |= a[i] ^ b[i];
	return !differs;
}

/* Another host announces the address: its lease here is over, whatever its holder believes. */
ALWAYS int announced(const struct frame *f)
{
	struct lease *l = map_lookup(&leases, &f->announced);
	struct rival r = { .address = f->announced };

	if (!l || same_mac(l->mac, f->mac))
		return 0;
	if (boottime() < READ(l->deadline)) {
		READ(l->deadline) = 0;
		__builtin_memcpy(r.mac, f->mac, 6);
		ringbuf_output(&rivals, &r, sizeof r, 0);
	}
	return 1;
}

enum verdict { FOREIGN, LEASED, OVER };
ALWAYS enum verdict judge(const struct address *a)
{
	struct lease *l = map_lookup(&leases, a);

	if (!l)
		return FOREIGN;
	return boottime() < READ(l->deadline) ? LEASED : OVER;
}

/* What comes. An announcement passes, because user space looks for rivals too; what the host's
 * kernel answers to one does not go out. */
SEC("xdp") int enters(struct xdp_md *c)
{
	struct frame f = {};
	enum verdict v;

	read((void *)(long)c->data, (void *)(long)c->data_end, &f);
	if (announced(&f))
		return XDP_PASS;
	v = judge(&f.to);
	if (v == FOREIGN)
		return XDP_PASS;
	if (v == LEASED)
		tail_call(c, &alive_in, 0);
	return XDP_DROP; /* nobody holds the array, or the deadline is past */
}

/* The end of a connection, without data: what the kernel sends for a process that has died. It is true, whoever has the address by
 * now, and a client that waits would otherwise wait for as long as its own kernel does. */
ALWAYS int ends(struct tcp *t, void *end, int length)
{
	if ((void *)(t + 1) > end)
		return 0;
	return t->flags & (TCP_FIN | TCP_RST) && length == (t->offset >> 4) * 4;
}

ALWAYS int farewell(void *data, void *end)
{
	struct ether *e = data;
	struct ipv4 *ip = (void *)(e + 1);
	struct ipv6 *six = (void *)(e + 1);

	if ((void *)(e + 1) > end)
		return 0;
	if (e->kind == ETHER_IP && (void *)(ip + 1) <= end) /* without options, and no later fragment */
		return ip->unread[0] == 0x45 && ip->unread[9] == IP_TCP && !(ip->unread[6] & 0x1f) && !ip->unread[7] &&
		       ends((void *)(ip + 1), end, (ip->unread[2] << 8 | ip->unread[3]) - (int)sizeof *ip);
	if (e->kind == ETHER_IPV6 && (void *)(six + 1) <= end)
		return six->next == IP_TCP && ends((void *)(six + 1), end, six->unread[4] << 8 | six->unread[5]);
	return 0;
}

/* What goes out. A stopped holder's kernel would still send to clients of old, and ask for their
 * MAC in the address's name, so that they believe it again. A question by another address of the
 * host's about who has the address passes: it claims nothing. */
SEC("tc") int leaves(struct sk_buff *c)
{
	struct frame f = {};
	enum verdict by, about;

	read((void *)(long)c->data, (void *)(long)c->data_end, &f);
	by = judge(&f.from);
	about = judge(&f.announced);
	if (by == FOREIGN && about == FOREIGN)
		return TC_NEXT;
	if (by != OVER && about != OVER)
		tail_call(c, &alive_out, 0);
	return farewell((void *)(long)c->data, (void *)(long)c->data_end) ? TC_NEXT : TC_DROP;
}

/* They are in the arrays while the process lives. */
SEC("xdp") int lives_in(struct xdp_md *c)
{
	return XDP_PASS;
}

SEC("tc") int lives_out(struct sk_buff *c)
{
	return TC_NEXT;
}
