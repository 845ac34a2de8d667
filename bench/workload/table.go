package workload

import (
	"fmt"

	"pgherd/bench/peers"
)

// Tables are made on the primary itself before the first workload; besides
// these there are pgbench's own.
const Tables = "CREATE UNLOGGED TABLE sink (line text); GRANT ALL ON sink TO PUBLIC;"

// scripts are pgbench's, by the word that stands for them.
var scripts = map[string]string{"@aid": "\\set aid random(1, 100000)\nSELECT :aid;\n"}

func eightKB(rows int) string {
	return fmt.Sprintf("SELECT repeat('x', 8192) FROM generate_series(1, %d)", rows)
}

const (
	narrow = "SELECT * FROM pgbench_accounts"
	oneMB  = "SELECT repeat('x', 1048576) FROM generate_series(1, 128)"
)

var (
	prepared = peers.Mode{Prepared: true}
	answers  = peers.Mode{Answers: true}
	crowd    = peers.Mode{Crowd: true}
	secured  = peers.Mode{TLS: true, Prepared: true}
	safeBulk = peers.Mode{TLS: true}
	safeMany = peers.Mode{TLS: true, Crowd: true}
)

// All is every workload, in the order in which they run.
var All = []Workload{
	{Name: "select-simple-1", What: "pgbench -S -M simple, 1 client", run: pgbench("-S -M simple", 1)},
	{Name: "select-simple-8", What: "pgbench -S -M simple, 8 clients", run: pgbench("-S -M simple", 8)},
	{Name: "select-simple-64", What: "pgbench -S -M simple, 64 clients", run: pgbench("-S -M simple", 64)},
	{Name: "select-extended-1", What: "pgbench -S -M extended, 1 client", run: pgbench("-S -M extended", 1)},
	{Name: "select-extended-8", What: "pgbench -S -M extended, 8 clients", run: pgbench("-S -M extended", 8)},
	{Name: "select-extended-64", What: "pgbench -S -M extended, 64 clients", run: pgbench("-S -M extended", 64)},
	{Name: "select-prepared-1", What: "pgbench -S -M prepared, 1 client", Mode: prepared, run: pgbench("-S -M prepared", 1)},
	{Name: "select-prepared-8", What: "pgbench -S -M prepared, 8 clients", Mode: prepared, run: pgbench("-S -M prepared", 8)},
	{Name: "select-prepared-64", What: "pgbench -S -M prepared, 64 clients", Mode: prepared, run: pgbench("-S -M prepared", 64)},
	{Name: "select-aid-8", What: "SELECT :aid, simple, 8 clients: what the way costs", run: pgbench("-M simple -f @aid", 8)},
	{Name: "tpcb-8", What: "pgbench's TPC-B, simple, 8 clients", run: pgbench("-M simple", 8)},
	{Name: "connect-8", What: "pgbench -S -C: a log-in (SCRAM) for each transaction, 8 clients", run: pgbench("-S -C", 8)},
	{Name: "crowd-2000", What: "1,968 clients that ask now and then, and 32 busy ones (pgbench -S)", Mode: crowd,
		setUp: crowded(1968), run: among(pgbench("-S -M simple", 32))},
	{Name: "tls-prepared-8", What: "pgbench -S -M prepared over TLS on both legs, 8 clients", Mode: secured, run: pgbench("-S -M prepared", 8)},
	{Name: "tls-narrow", What: "SELECT * FROM pgbench_accounts over TLS on both legs", Mode: safeBulk, run: drained(narrow, 200)},
	{Name: "result-10k", What: "answers of 10 KB, 4 clients", Mode: answers, run: results(10, 4)},
	{Name: "result-50k", What: "answers of 50 KB, 4 clients", Mode: answers, run: results(50, 4)},
	{Name: "result-200k", What: "answers of 200 KB, 4 clients", Mode: answers, run: results(200, 4)},
	{Name: "narrow", What: "SELECT * FROM pgbench_accounts (rows of about 120 bytes), 250 MB", run: drained(narrow, 250)},
	{Name: "rows-8k", What: "SELECT of rows of 8 KB, 250 MB", run: drained(eightKB(16384), 250)},
	{Name: "rows-1m", What: "SELECT of rows of 1 MB, 250 MB", run: drained(oneMB, 250)},
	{Name: "copy-out", What: "COPY pgbench_accounts TO STDOUT, 500 MB", run: drained("COPY pgbench_accounts TO STDOUT", 500)},
	{Name: "copy-in", What: "COPY FROM STDIN of lines of 100 bytes, 500 MB", run: copiedIn(500)},
	{Name: "trickle", What: "8 times 25 rows of 16 KB, one each 10 ms", run: trickled(8, 25)},
	{Name: "slow-reader", What: "pgbench -S, 8 clients, beside a client that reads 6 MB/s of a large result", run: besideSlow(pgbench("-S -M simple", 8))},
	{Name: "idle-5000", What: "5,000 clients that have asked once and wait", Mode: crowd, Once: true, run: idleMemory(5000)},
	{Name: "idle-5000-tls", What: "the same over TLS", Mode: safeMany, Once: true, run: idleMemory(5000)},
	{Name: "long", What: "pgbench -S -M prepared, 8 clients, 20 times as long: does it drift?", Mode: prepared, Once: true, run: drifting("-S -M prepared", 8, 20)},
}
