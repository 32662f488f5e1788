# Everything is run from here; make help lists it. Needs Go and make, and git for
# verify. What a target needs beyond that it fetches or builds by itself.

SHELL := /bin/sh
.DEFAULT_GOAL := help

# A clone owned by someone else makes git refuse to answer, and with it go build,
# which asks for the revision to stamp. Only what is kept, in build, is stamped.
export GOFLAGS := $(GOFLAGS) -buildvcs=false

# Packages that need no database.
UNIT := ./api/... ./core/... ./adapters/memory/... ./adapters/templates/... ./worker/... ./test/arch/...

GENERATED := api/taskerv1 adapters/postgres/internal/dbsqlc

# PostgreSQL's programs, unless a server is given by DATABASE_URL.
POSTGRES := if [ -z "$$DATABASE_URL" ]; then sh scripts/ensure-postgres.sh; fi

.PHONY: help
help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: run
run: ## start the demo: a server on its own PostgreSQL, and one order that runs through
	@$(POSTGRES)
	@echo "building the demo (a minute the first time)"
	@go build -o bin/order_fulfillment ./examples/order_fulfillment
	@exec bin/order_fulfillment

.PHONY: test
test: ## all tests, against a PostgreSQL of their own, with the race detector where possible
	@sh scripts/ensure-postgres.sh
	@sh scripts/test.sh

.PHONY: test-unit
test-unit: ## the tests that need no database
	@go test $(UNIT)

.PHONY: bench
bench: ## measure speed and cost; prints a table and writes bench.json
	@$(POSTGRES)
	@go build -o bin/tasker-bench ./cmd/tasker-bench
	@exec bin/tasker-bench

.PHONY: crash
crash: ## kill server and database at random, and check that nothing was lost or done twice
	@$(POSTGRES)
	@go build -o bin/crash ./test/crash
	@exec bin/crash

.PHONY: chaos
chaos: ## run a mixed load on two servers killed at random for ten minutes, and check every invariant
	@$(POSTGRES)
	@go build -o bin/tasker-server ./cmd/tasker-server
	@go build -o bin/chaos ./test/chaos
	@exec bin/chaos

.PHONY: lint
lint: ## check style, the arrows between packages, the gRPC contract and the container files
	@sh scripts/tool.sh golangci-lint run ./...
	@go vet ./...
	@cd api && sh ../scripts/tool.sh buf lint && sh ../scripts/tool.sh buf format --diff --exit-code
	@sh scripts/tool.sh containers Dockerfile compose.yaml

.PHONY: generate
generate: ## make the generated code anew
	@# Built here, or buf would have both plugins build them at the same time.
	@sh scripts/tool.sh protoc-gen-go --version >/dev/null
	@cd api && sh ../scripts/tool.sh buf generate
	@if [ -f adapters/postgres/internal/dbsqlc/sqlc.yaml ]; then \
		cd adapters/postgres/internal/dbsqlc && sh ../../../../scripts/tool.sh sqlc generate; \
	fi
	@for dir in $(GENERATED); do if [ -d $$dir ]; then gofmt -w $$dir; fi; done

.PHONY: verify
verify: generate ## check that the generated code in git is what generate makes
	@changed=$$(git status --porcelain -- $(GENERATED)); \
	if [ -n "$$changed" ]; then \
		git --no-pager diff --stat -- $(GENERATED); \
		echo "generated code is not what make generate makes; run it and commit:"; \
		echo "$$changed"; exit 1; \
	fi

.PHONY: build
build: GOFLAGS := $(filter-out -buildvcs=false,$(GOFLAGS))
build: ## build the programs into bin/
	@mkdir -p bin
	@go build -o bin/ ./cmd/... ./examples/...

.PHONY: tools
tools: ## build the pinned generators and linters into the user's cache
	@sh scripts/tool.sh --build

.PHONY: clean
clean: ## remove what was built; the data in .tasker stays
	@rm -rf bin bench.json coverage.out
