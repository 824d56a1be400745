# The commands of this project. "make run" and "make test" need nothing but Go.
GO       ?= go
SAMPLE   := deploy/sample
# The folder of the conformance corpus: events with the output of the transformer that erbd succeeds.
CONFORMANCE_DIR ?=
FUZZTIME ?= 60s
# What the faults of "make torture" are drawn from, 0 for another each time, and how long each of its parts goes on.
SEED     ?= 0
LENGTH   ?= 1m

.PHONY: build run test check vuln conformance judge bench fuzz torture clean

build: ## bin/erbd and bin/mapcheck
	$(GO) build -o bin/ ./cmd/...

run: ## the daemon with a receiver on this machine and a sample log; Ctrl-C stops it
	$(GO) build -o bin/ ./cmd/erbd
	@$(SAMPLE)/run.sh bin/erbd

test: ## all tests; with CONFORMANCE_DIR also the corpus
	CONFORMANCE_DIR="$(CONFORMANCE_DIR)" $(GO) test ./...
	$(GO) run ./cmd/mapcheck test
	$(GO) run ./cmd/mapcheck lint

check: ## what a change must pass: format, vet, tests under the race detector
	@test -z "$$(gofmt -l .)" || { echo "not gofmt-clean:"; gofmt -l .; exit 1; }
	$(GO) vet ./...
	CONFORMANCE_DIR="$(CONFORMANCE_DIR)" $(GO) test -race ./...

vuln: ## known vulnerabilities that the code reaches; needs the network
	GO="$(GO)" .ci/vuln.sh

conformance: ## only the corpus, case by case
	@test -n "$(CONFORMANCE_DIR)" || { echo "conformance: name the folder of the corpus: make conformance CONFORMANCE_DIR=…"; exit 2; }
	CONFORMANCE_DIR="$(CONFORMANCE_DIR)" $(GO) test ./engine/mapping -run TestConformance -count=1 -v

judge: ## what independent judges and a record store say of the output; JUDGES_DIR names the judges' folder
	CONFORMANCE_DIR="$(CONFORMANCE_DIR)" .ci/judge.sh

bench: ## the engine against hand-written Go and general tools: one table of ratios
	cd bench && $(GO) run .

fuzz: ## every fuzz target for FUZZTIME
	@for pkg in $$($(GO) list ./...); do \
	  for target in $$($(GO) test -list 'Fuzz.*' $$pkg | grep '^Fuzz'); do \
	    echo "$$pkg $$target"; $(GO) test $$pkg -run xxx -fuzz "^$$target$$" -fuzztime $(FUZZTIME) || exit 1; \
	  done; \
	done

torture: ## kills, cuts and stalls everything around the daemon and counts what became of each event; SEED repeats it
	$(GO) test ./cmd/erbd/torture -count=1 -timeout 60m -v -torture -seed $(SEED) -length $(LENGTH)

clean:
	rm -rf bin data
