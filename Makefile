# The two commands a newcomer needs: make run, make test.

GO      ?= go
BIN     := bin
PKGS    := ./...
export GOFLAGS ?= -buildvcs=false

.PHONY: run test build setup setup-test charttest lint race fuzz chaos matrix soak bench generate clean

## run: install what is missing, build, start mediafn and send it a sliced transcode of FILE
run: build
	@FILE="$(FILE)" KEEP="$(or $(KEEP),1)" sh scripts/run.sh

## test: install what is missing, check the code, run every suite
test: build lint setup-test charttest
	$(GO) test -timeout 20m $(PKGS)

build: setup
	CGO_ENABLED=0 $(GO) build -o $(BIN)/mediafn ./cmd/mediafn
	CGO_ENABLED=1 $(GO) build -o $(BIN)/mediafn-engine ./cmd/mediafn-engine

setup:
	@sh scripts/setup.sh

## setup-test: the servers that tests start for real
setup-test: setup
	@sh scripts/setup-test.sh

lint:
	@test -z "$$(gofmt -l $$(git ls-files '*.go'))" || { gofmt -l $$(git ls-files '*.go'); echo "run gofmt"; exit 1; }
	$(GO) vet $(PKGS)
	$(GO) tool staticcheck $(PKGS)

## charttest: deploy/ against what it claims; a module of its own, since it needs Helm, Kubernetes and KEDA.
## -count=1: it reads files outside of its module, which the cache of tests does not see
charttest:
	cd deploy/charttest && $(GO) test -count=1 -vet=off ./...

## race: the suites under the race detector
race: build setup-test
	CGO_ENABLED=1 $(GO) test -race -timeout 60m $(PKGS)

## chaos: everything fails that can while TASKS run, as SEED says (0 = another one each time); then one server killed for ROUNDS
chaos: build setup-test
	$(GO) test -count=1 -timeout 90m ./e2e -v -run '^TestChaos' -chaos.tasks=$(or $(TASKS),500) -chaos.seed=$(or $(SEED),0) \
		-chaos.minutes=$(or $(MINUTES),20) -chaos.rounds=$(or $(ROUNDS),5) $(if $(LOGS),-chaos.logs=$(abspath $(LOGS)))

## soak: a film of MINUTES in slices; how much memory and disk that takes
soak: build
	$(GO) test -count=1 -timeout 60m ./e2e -v -run '^TestSoak$$' -soak.minutes=$(or $(MINUTES),180)

## matrix: every kind of source through every kind of function, sliced and whole, and the table of docs/slicing.md;
## ONLY=REGEXP for some cells SOURCE/FUNCTION
matrix:
	$(GO) test -count=1 -timeout 60m ./e2e/matrix -run TestMatrix -v -matrix.full -matrix.only='$(ONLY)'

## fuzz: every parser for FUZZTIME
fuzz:
	@sh scripts/fuzz.sh $(or $(FUZZTIME),30s)

## bench: figures of docs/benchmarks.md
bench: build
	$(BIN)/mediafn bench control --shape all
	$(BIN)/mediafn bench slice $(FILE)
	$(BIN)/mediafn bench predict $(FILE)

## generate: rewrite goldens and generated documents
generate: build
	$(GO) test -run 'Golden|Reference|Plan|Flow' $$(git grep -l '"update"' -- '*_test.go' | xargs -n1 dirname | sort -u | sed 's#^#./#') -update

clean:
	rm -rf $(BIN) data
