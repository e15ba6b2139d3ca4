# make build    bin/api, bin/worker, bin/mailhaul
# make test     installs what the tests need where it may (root or sudo), then runs them all
# make check    formatting, vet, lint (with the floors of ARCHITECTURE.md), go.mod tidy
# make fmt      formats
# make docs     writes the references in docs/ anew, from the API and the commands
# make chaos    accidents happen to a whole fleet for ten minutes; SEED=n begins with the nth schedule
# make fuzz     strangers' bytes of every kind, FUZZTIME (10m) for each parser; prints executions and findings
# make drain    workers in passes are asked to end, thirty times
# make matrix   awkward mail between every two servers and without each capability, as a table
# make crash    deaths at each point of a pass, in memory and of real processes, as a table; SEED=n begins with the nth
# make clients  clients generated from the OpenAPI document, in Go and TypeScript, move a batch from its file to its removal (npm)
# make bench-fleet  limits, fairness and the price of scheduling, measured beside their targets
# make bench    speed, memory and costs beside their targets, the raw ceiling and other tools, some 20 minutes; BENCH_ROWS=a,b (root; see bench/README.md)
# make bench-engine  the engine alone, for benchstat: time and allocations a message (see docs/performance.md)

GO   ?= go
# The linter is pinned in a module of its own, so that its dependencies are not ours.
LINT  = $(GO) tool -modfile=tools/go.mod golangci-lint

.PHONY: build test check fmt docs matrix chaos crash drain fuzz clients bench bench-engine bench-fleet

build:
	$(GO) build -trimpath -o bin/ ./cmd/...

test:
	.ci/deps dovecot-imapd isync redis-server postgresql python3 gcc libc6-dev
	$(GO) test -race -shuffle=on -timeout 30m ./...
	$(GO) test -run AccidentAtEveryStep ./pkg/mailsync

check:
	$(GO) vet ./...
	$(LINT) run
	$(GO) mod tidy -diff

fmt:
	$(LINT) fmt

docs:
	$(GO) test ./cmd/mailhaul ./pkg/httpapi -run Reference -update

SEED ?= 1
chaos:
	.ci/deps dovecot-imapd redis-server postgresql python3
	$(GO) test ./test/chaos -run Chaos -v -count=1 -timeout 40m -chaos.for 10m -chaos.seed $(SEED)

FUZZTIME ?= 10m
fuzz:
	FUZZTIME=$(FUZZTIME) .ci/fuzz

drain:
	.ci/deps dovecot-imapd redis-server postgresql python3
	$(GO) test ./test/chaos -run Drain -v -count=1 -timeout 20m -chaos.drains 30

matrix:
	.ci/deps dovecot-imapd isync mutt python3
	$(GO) test ./test/matrix -v -count=1 -timeout 60m -matrix.whole

crash:
	.ci/deps dovecot-imapd python3
	$(GO) test ./pkg/mailsync -run 'Accident|Stories' -count=1 -timeout 40m -v -rapid.checks 1000 -rapid.seed $(SEED) | grep -v '^=== '
	$(GO) test ./test/crash -count=1 -timeout 40m -v -crash.seeds 20 -crash.seed $(SEED)

clients:
	.ci/deps dovecot-imapd python3 curl npm
	$(GO) test -tags clients ./test/clients -v -count=1 -timeout 20m

bench-fleet:
	.ci/deps dovecot-imapd redis-server postgresql python3
	$(GO) test ./bench/fleet -run '^$$' -bench . -benchtime 1x -timeout 40m

bench:
	.ci/deps dovecot-imapd isync openssl python3 redis-server
	cd bench && PYTHONDONTWRITEBYTECODE=1 GO=$(GO) python3 -m table

COUNT ?= 6
bench-engine:
	$(GO) test ./pkg/mailsync -run '^$$' -bench Engine -benchtime 100x -count $(COUNT)
