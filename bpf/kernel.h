/* What our programs use of the kernel's binary interface, which does not change: see bpf-helpers(7).
 * Only this is included, so that what a compiler makes of a program does not depend on the headers
 * of the machine. */
typedef unsigned char u8;
typedef unsigned short u16;
typedef unsigned int u32;
typedef unsigned long long u64;

#define SEC(name) __attribute__((section(name), used))
#define ALWAYS static inline __attribute__((always_inline))

/* Reads exactly here, and exactly once. */
#define READ(place) (*(volatile __typeof__(place) *)&(place))

/* How a map is declared, for BTF. */
#define NUMBER(name, value) int (*name)[value]
#define TYPE(name, value) __typeof__(value) *name

enum { MAP_HASH = 1, MAP_PROG_ARRAY = 3, MAP_LRU_HASH = 9, MAP_RINGBUF = 27 };

/* A flag of map_update: only if the key is not there yet. */
enum { IF_ABSENT = 1 };

static void *(*map_lookup)(void *map, const void *key) = (void *)1;
static long (*map_update)(void *map, const void *key, const void *value, u64 flags) = (void *)2;
static long (*tail_call)(void *ctx, void *programs, u32 index) = (void *)12;
static long (*sock_ops_flags_set)(void *ctx, int flags) = (void *)59;
static u64 (*boottime)(void) = (void *)125;
static long (*ringbuf_output)(void *ring, void *data, u64 size, u64 flags) = (void *)130;

/* The context of a sockops program, as far as we read it. */
struct sock_ops {
	u32 op;
	u32 args[4];
	u32 family;
	u32 remote_ip4; /* this and all addresses: in network order */
	u32 local_ip4;
	u32 remote_ip6[4];
	u32 local_ip6[4];
	u32 remote_port; /* in network order */
	u32 local_port;  /* in host order */
	u32 is_fullsock;
	u32 snd_cwnd;
	u32 srtt_us; /* eight times as many */
	u32 flags;
	u32 state;
	u32 unread[11]; /* from rtt_min to retrans_out */
	u32 total_retrans;
	u32 unread_too[7]; /* from segs_in to sk_txhash */
	u64 bytes_received;
	u64 bytes_acked;
};

_Static_assert(__builtin_offsetof(struct sock_ops, total_retrans) == 136, "the kernel has it there");
_Static_assert(__builtin_offsetof(struct sock_ops, bytes_received) == 168, "the kernel has it there");

/* sock_ops.op */
enum {
	OP_CONNECT = 3,
	OP_ACTIVE_ESTABLISHED = 4,
	OP_PASSIVE_ESTABLISHED = 5,
	OP_RTO = 8,
	OP_RETRANS = 9,
	OP_STATE = 10,
};

/* sock_ops.flags: what else to call the program for */
enum { FLAG_RTO = 1, FLAG_RETRANS = 2, FLAG_STATE = 4 };

enum { FAMILY_INET = 2 };

/* args[0] and args[1] of OP_STATE: from, to */
enum { TCP_ESTABLISHED = 1, TCP_SYN_SENT = 2, TCP_CLOSE = 7 };

/* The context of an XDP program: addresses, of which the verifier makes pointers. */
struct xdp_md {
	u32 data;
	u32 data_end;
};

/* The context of a program on a traffic hook, as far as we read it. */
struct sk_buff {
	u32 unread[19]; /* from len to tc_classid, but for cb */
	u32 data;
	u32 data_end;
};

_Static_assert(__builtin_offsetof(struct sk_buff, data) == 76, "the kernel has it there");

enum { XDP_DROP = 1, XDP_PASS = 2 };
enum { TC_NEXT = -1, TC_DROP = 2 }; /* of tcx and of cls_bpf alike */
