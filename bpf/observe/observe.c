//go:build ignore

/* What the kernel knows of the TCP connections of a cgroup, by the remote side: how many, how many
 * bytes, round trips, what had to be sent again. It runs when a connection begins or ends, and when
 * something has to be sent again; never for each packet. */
#include "../kernel.h"

char terms[] SEC("license") = "PostgreSQL";

/* Connections that were accepted at this port are clients'; those that were opened go to nodes. */
const volatile u16 listen_port;

/* A remote side. An IPv4 address is mapped into IPv6; a client's port is 0. */
struct peer {
	u32 ip[4];
	u32 port;
};

/* What came of the connections with a peer. Bytes, retransmits and the round trip are those of
 * connections that have ended: while one lives, its owner asks for them elsewhere. */
struct counts {
	u64 opened;
	u64 closed;      /* of those that were opened */
	u64 failed;      /* not opened at all */
	u64 aborted;     /* of the closed: from one moment to the next */
	u64 received;
	u64 sent;        /* and acknowledged */
	u64 retransmits; /* segments */
	u64 timeouts;    /* of retransmission */
	u64 rtt;         /* smoothed, in microseconds, when the last one ended */
};

/* A sign that a node may be in trouble. */
enum kind { FAILED = 1, ABORTED = 2, TIMEOUT = 3, RETRANSMIT = 4 };
struct sign {
	struct peer node;
	u32 kind;
};
const struct sign *sign_in_btf __attribute__((unused)); /* so that Go gets the type */

/* Nodes beyond the limit are not counted. Of clients the one that was not seen for longest makes
 * room. A sign that finds the ring full is lost; the next one says the same. */
enum { NODES = 1024, CLIENTS = 8192, SIGN_BYTES = 1 << 16 };

struct {
	NUMBER(type, MAP_HASH);
	NUMBER(max_entries, NODES);
	TYPE(key, struct peer);
	TYPE(value, struct counts);
} nodes SEC(".maps");

struct {
	NUMBER(type, MAP_LRU_HASH);
	NUMBER(max_entries, CLIENTS);
	TYPE(key, struct peer);
	TYPE(value, struct counts);
} clients SEC(".maps");

struct {
	NUMBER(type, MAP_RINGBUF);
	NUMBER(max_entries, SIGN_BYTES);
} signs SEC(".maps");

#define ADD(counter, n) __sync_fetch_and_add(&(counter), (n))

ALWAYS struct counts *counts_in(void *map, const struct peer *p)
{
	struct counts none = {};
	struct counts *c = map_lookup(map, p);

	if (c)
		return c;
	map_update(map, p, &none, IF_ABSENT);
	return map_lookup(map, p);
}

ALWAYS void tell(const struct peer *node, u32 kind)
{
	struct sign s = { .node = *node, .kind = kind };

	ringbuf_output(&signs, &s, sizeof(s), 0);
}

ALWAYS void end(struct sock_ops *s, struct counts *c)
{
	if (s->args[0] == TCP_SYN_SENT) {
		ADD(c->failed, 1);
		return;
	}
	ADD(c->closed, 1);
	if (s->args[0] == TCP_ESTABLISHED)
		ADD(c->aborted, 1);
	ADD(c->received, s->bytes_received);
	ADD(c->sent, s->bytes_acked);
	ADD(c->retransmits, s->total_retrans);
	c->rtt = s->srtt_us >> 3;
}

/* count notes what has happened, and returns what it may be a sign of; 0: of nothing. */
ALWAYS u32 count(struct sock_ops *s, struct counts *c)
{
	switch (s->op) {
	case OP_ACTIVE_ESTABLISHED:
	case OP_PASSIVE_ESTABLISHED:
		ADD(c->opened, 1);
		return 0;
	case OP_RTO:
		ADD(c->timeouts, 1);
		return TIMEOUT;
	case OP_RETRANS:
		return RETRANSMIT;
	case OP_STATE:
		end(s, c);
		return s->args[0] == TCP_SYN_SENT ? FAILED : s->args[0] == TCP_ESTABLISHED ? ABORTED : 0;
	}
	return 0;
}

/* address reads both families in any case: the verifier wants each field of the context read at a
 * fixed place, and a compiler may join two reads into one at a place that is chosen before. */
ALWAYS void address(struct sock_ops *s, struct peer *p)
{
	u32 a = READ(s->remote_ip6[0]), b = READ(s->remote_ip6[1]), c = READ(s->remote_ip6[2]), d = READ(s->remote_ip6[3]);
	u32 short_form = READ(s->remote_ip4);
	int is_short = READ(s->family) == FAMILY_INET;

	p->ip[0] = is_short ? 0 : a;
	p->ip[1] = is_short ? 0 : b;
	p->ip[2] = is_short ? __builtin_bswap32(0xffff) : c;
	p->ip[3] = is_short ? short_form : d;
}

SEC("sockops")
int observe(struct sock_ops *s)
{
	struct peer p = {};
	struct counts *c;
	u32 kind;

	switch (s->op) {
	case OP_CONNECT:
		sock_ops_flags_set(s, s->flags | FLAG_STATE | FLAG_RTO | FLAG_RETRANS);
		return 1;
	case OP_PASSIVE_ESTABLISHED:
		sock_ops_flags_set(s, s->flags | FLAG_STATE | FLAG_RTO);
		break;
	case OP_STATE:
		if (s->args[1] != TCP_CLOSE)
			return 1;
		break;
	case OP_ACTIVE_ESTABLISHED:
	case OP_RTO:
	case OP_RETRANS:
		break;
	default:
		return 1;
	}
	address(s, &p);
	if (s->local_port == listen_port) {
		c = counts_in(&clients, &p);
		if (c)
			count(s, c);
		return 1;
	}
	p.port = __builtin_bswap32(s->remote_port);
	c = counts_in(&nodes, &p);
	kind = c ? count(s, c) : 0;
	if (kind)
		tell(&p, kind);
	return 1;
}
