# Every target does its own set-up: what is missing is installed when we are
# root (Debian packages), and is named in a message when we are not.

SHELL := /bin/sh
GO    := go
ARGS  ?=
# How many inputs each fuzz target gets in `make test`: a few seconds' worth.
FUZZINPUTS ?= 25000

POSTGRES := '/usr/lib/postgresql/*/bin/initdb=postgresql' psql=postgresql-client pgbench=postgresql
DRIVERS  := /usr/lib/python3/dist-packages/psycopg/__init__.py=python3-psycopg \
            /usr/lib/python3/dist-packages/psycopg2/__init__.py=python3-psycopg2 \
            /usr/lib/python3/dist-packages/django/__init__.py=python3-django \
            '/usr/lib/*/perl5/*/DBD/Pg.pm=libdbd-pg-perl' \
            /usr/share/java/postgresql.jar=libpostgresql-jdbc-java \
            java=default-jdk-headless javac=default-jdk-headless node=nodejs npm=npm
PATRONI  := patroni=patroni etcd=etcd-server /usr/lib/python3/dist-packages/etcd/__init__.py=python3-etcd
# Of PostgreSQL: each that is supported but Debian's, and the newest.
VERSIONS ?= 13 14 16 17 18
NEWEST   := 18

# Of kernel-tests/kernels/kernels.txt, with commas between.
KERNELS ?= all

# How long the tests of one package may take before Go ends them, its own 10 minutes
# being too few on a busy machine: three times and more what they need on 2 cores.
# The unit tests are compiled with the race detector, and some run everything.
TEST  := $(GO) test -count=1 -timeout 30m
UNIT  := $(GO) test -timeout 45m
LIMIT := timeout 30m
# Those of `make check` need 2 minutes at most, so one that hangs is noticed earlier.
CHECK := $(GO) test -timeout 10m

# The race detector sees no writes by the kernel, so the ring is tested without it;
# the parser is 200,000 lines of C that need not be compiled a second time for it.
WITHOUT_RACE := pgherd/proxy/ring pgherd/proxy/query
C_COMPILER   := gcc=gcc /usr/include/stdlib.h=libc6-dev
# Of one version, so that what it makes can be compared with what is committed.
BPF_COMPILER := clang-14=clang-14 llvm-strip-14=llvm-14
NETWORK      := ip=iproute2 setpriv=util-linux findmnt=util-linux
# These start PostgreSQL, or need a compiler for BPF, and run after the unit tests, as steps of their own.
WITH_SERVERS := pgherd/\(kernel-tests/\|bench$$\|bpf/generated$$\)
# A test that builds the code again and again, each time with another fault in it, needs
# minutes. Its name ends so, and `make check` leaves it out; `make test` runs it once.
MUTATIONS := BrokenOnPurpose$$
# A few of the byte-for-byte comparisons: PostgreSQL itself, and pgherd where most meets.
COMPARED := '^TestDifferential$$/^(direct|transaction,_io_uring,_in_a_crowd)$$'

.DEFAULT_GOAL := help
.PHONY: help build demo check test test-versions lint generate bench test-kernel lab
.PHONY: go-version check-unit check-simulation check-server test-unit test-fuzz test-simulation test-differential test-drivers test-faults test-leaks test-prepared test-routing test-roles test-firsthour test-failover test-patroni test-observe test-lab test-generated test-newest test-bench

help: ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 20

build: go-version ## build bin/pgherd, and bin/pgpool and bin/pgherdctl beside it (the same program)
	@.ci/need $(C_COMPILER)
	$(GO) build -o bin/pgherd ./cmd/pgherd
	@ln -sf pgherd bin/pgpool
	@ln -sf pgherd bin/pgherdctl

demo: build ## a primary, two standbys and pgherd, live; ARGS=--once checks and ends, ARGS=--chaos loses nodes
	@.ci/need $(POSTGRES)
	bin/pgherd demo $(ARGS)

test: lint test-unit test-fuzz test-simulation test-differential test-drivers test-faults test-leaks test-prepared test-routing test-roles test-firsthour test-failover test-patroni test-observe test-lab test-generated test-newest test-bench ## everything CI runs; under 45 minutes on 2 cores
	@echo 'make test: passed'

check: lint check-unit check-simulation check-server ## before every commit: a part of test; under 5 minutes on 2 cores
	@echo 'make check: passed'

lint: go-version ## gofmt, go mod tidy, go vet, staticcheck
	@echo '== lint: gofmt, go mod tidy, go vet, staticcheck'
	@.ci/need $(C_COMPILER)
	@test -z "$$(gofmt -l . | tee /dev/stderr)"
	@.ci/tidy
	$(LIMIT) $(GO) vet ./...
	$(LIMIT) $(GO) tool staticcheck ./...

# What has not changed since it passed is not run again.
check-unit: go-version
	@echo '== unit tests, without the race detector and without mutations'
	@.ci/need $(C_COMPILER) $(POSTGRES)
	$(CHECK) -skip '$(MUTATIONS)' $$($(GO) list ./... | grep -v '^$(WITH_SERVERS)')

# Behind the seeds of the unit tests.
check-simulation: go-version
	@echo '== simulation: 3000 seeds'
	$(CHECK) -count=1 -run '^TestSimulation$$' ./proxy/worker -sim.first 1001 -sim.seeds 3000

check-server: go-version
	@echo '== one real server: a part of differential'
	@.ci/need $(POSTGRES)
	$(CHECK) -count=1 -run $(COMPARED) ./kernel-tests/differential

test-unit: go-version
	@echo '== unit tests, with the race detector'
	@.ci/need $(C_COMPILER) $(POSTGRES)
	$(UNIT) -race $$($(GO) list ./... | grep -vxF $(WITHOUT_RACE:%=-e %) | grep -v '^$(WITH_SERVERS)')
	@echo '== unit tests of what shares memory with the kernel or with C, without it'
	$(UNIT) $(WITHOUT_RACE)

test-fuzz: go-version
	@echo '== every fuzz target, $(FUZZINPUTS) inputs each'
	@.ci/fuzz $(FUZZINPUTS)

# Once more than in the unit tests, without the race detector: faster, so further.
test-simulation: go-version
	@echo '== simulation: every TestSimulat... of the data plane and of the lease'
	$(TEST) -run '^TestSimulat' ./proxy/... ./vip/lease

test-differential: go-version
	@echo '== differential: the same messages directly and through pgherd'
	@.ci/need $(POSTGRES)
	$(TEST) ./kernel-tests/differential

test-drivers: go-version
	@echo '== drivers: real clients directly and through pgherd'
	@.ci/need $(POSTGRES) $(DRIVERS)
	$(TEST) ./kernel-tests/drivers

test-faults: go-version
	@echo '== faults: clients, servers and pgherd broken under load'
	@.ci/need $(POSTGRES)
	$(TEST) ./kernel-tests/faults

test-leaks: go-version
	@echo '== leaks: random sessions on shared servers and their twins, directly'
	@.ci/need $(POSTGRES)
	$(TEST) ./kernel-tests/leaks

test-prepared: go-version
	@echo '== prepared: tables are altered under clients that have statements prepared'
	@.ci/need $(POSTGRES)
	$(TEST) ./kernel-tests/prepared

test-routing: go-version
	@echo '== routing: reads spread over real standbys, answers as from the primary alone'
	@.ci/need $(POSTGRES)
	$(TEST) ./kernel-tests/routing

test-roles: go-version
	@echo '== roles: who logs in after a change of roles or databases fares as directly'
	@.ci/need $(POSTGRES)
	$(TEST) ./kernel-tests/roles

test-firsthour: go-version
	@echo '== the first hour: what README, the manual and a transcript say is typed'
	@.ci/need $(POSTGRES)
	$(TEST) ./kernel-tests/firsthour

test-failover: go-version
	@echo '== failover: nodes are killed, frozen and stopped, and what clients saw is compared with what is there'
	@.ci/need $(POSTGRES)
	$(TEST) ./kernel-tests/failover

test-patroni: go-version
	@echo '== patroni: the real Patroni promotes, and pgherd follows'
	@.ci/need $(POSTGRES) $(PATRONI)
	$(TEST) ./kernel-tests/patroni

test-observe: go-version
	@echo '== observe: connections are counted, and cut, with BPF and without'
	@.ci/need $(POSTGRES) $(NETWORK)
	$(TEST) ./kernel-tests/observe

test-lab: go-version
	@echo '== lab: a virtual address moves between hosts, which are network namespaces, and the kernel silences late holders'
	@.ci/need $(NETWORK) $(POSTGRES)
	$(TEST) ./kernel-tests/lab ./kernel-tests/kernels/...

lab: go-version ## three pgherds on three hosts, which are network namespaces, on their bad days; says how long clients wait
	@.ci/need $(NETWORK) $(POSTGRES)
	$(TEST) -v ./kernel-tests/lab -run 'TestHolderEnds|TestDays|TestBadDays'

test-generated: go-version
	@echo '== generated: BPF programs are what their source makes'
	@.ci/need $(BPF_COMPILER)
	$(TEST) ./bpf/generated

# Beside Debian's PostgreSQL, which all else runs on.
test-newest: go-version ## a part of the tests on the newest PostgreSQL
	@echo '== newest: a part of differential, leaks, routing, roles, drivers and the first hour on PostgreSQL $(NEWEST)'
	@.ci/need $(POSTGRES) $(DRIVERS)
	@.ci/versions short $(NEWEST)

test-versions: go-version ## what talks to PostgreSQL, on each supported version; VERSIONS='13 18'
	@.ci/need $(C_COMPILER) $(POSTGRES) $(DRIVERS)
	@.ci/versions all $(VERSIONS)

# Quickly, beside nobody: that it works, not how fast anything is.
test-bench: go-version
	@echo '== bench: one quick round, and a report that is well-formed'
	@.ci/need $(POSTGRES)
	$(TEST) ./bench

generate: go-version ## run go generate everywhere
	@.ci/need $(BPF_COMPILER)
	$(GO) generate ./...

bench: build ## how fast is it beside its peers; ARGS='-run REGEX -rounds N -quick', see docs/performance.md
	@.ci/need $(POSTGRES)
	$(GO) build -o bin/pgherd-bench ./cmd/pgherd-bench
	bin/pgherd-bench $(ARGS)

# Not a part of `make test`, which has the running kernel already: QEMU emulates the processor.
test-kernel: go-version ## the ring, BPF and addresses on Debian's kernels 6.1 and 6.12 in QEMU, amd64 only; KERNELS=6.1
	@echo '== kernels: tests on the kernels of kernels.txt, and what a hypervisor that stops them does to a lease'
	@.ci/need $(NETWORK) qemu-system-x86_64=qemu-system-x86 dpkg-deb=dpkg xz=xz-utils
	$(TEST) -v -run '^(TestKernels|TestPause)$$' ./kernel-tests/kernels -kernels=$(KERNELS)

go-version:
	@.ci/go-version
