# Fairlead's everyday commands. `make demo` and `make test` are all that a
# newcomer needs; the others say what they do in `make help`.

GO      ?= go
VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
LDFLAGS  = -s -w -X fairlead/internal/app.Version=$(VERSION)
SOURCES  = $(shell git ls-files --cached --others --exclude-standard '*.go' '*.sql' '*.cedar*' '*.html' '*.yaml' '*.css' '*.js' '*.svg' '*.md' go.mod go.sum 2>/dev/null)

.PHONY: help demo demo-down build tools provider test test-race lint generate check-generated bench torture fuzz clean

help: ## this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 18

demo: ## build, start, and do the main job visibly (STORE=postgres REPLICAS=3 for more than one server)
	@scripts/demo.sh

demo-down: ## stop what the demo started and remove it without a trace
	@scripts/demo-down.sh

build: bin/fairlead ## build bin/fairlead

bin/fairlead: $(SOURCES)
	CGO_ENABLED=0 $(GO) build -trimpath -ldflags '$(LDFLAGS)' -o $@ ./cmd/fairlead

provider: ## build Fairlead's own provider, bin/terraform-provider-fairlead
	mkdir -p bin && cp "$$(scripts/tools.sh terraform-provider-fairlead)" bin/terraform-provider-fairlead

tools: ## build OpenTofu and the providers of the tests, once (some minutes the first time)
	@scripts/tools.sh

test: ## all tests
	@scripts/need-postgres.sh
	@scripts/need-sshd.sh
	@scripts/tools.sh which
	$(GO) vet ./...
	$(GO) vet -tags browser ./e2e
	cd bench && $(GO) vet ./... # a module of its own, which must follow the product's dependencies
	$(GO) test -timeout 15m ./...

test-race: ## all tests with the race detector
	$(GO) test -race -timeout 30m ./...

lint: .cache/golangci-lint ## golangci-lint with the rules of .golangci.yml
	.cache/golangci-lint run ./...

.cache/golangci-lint: tools/lint/go.mod tools/lint/go.sum
	cd tools/lint && $(GO) build -o ../../$@ github.com/golangci/golangci-lint/v2/cmd/golangci-lint
	@touch $@

generate: ## write generated code again
	tools/oapi/generate
	tools/webui/generate

check-generated: generate ## fail when generated code is not current
	git diff --exit-code -- internal/apiclient internal/webui "internal/**/*_templ.go" e2e/testdata

bench: ## the benchmarks of docs/performance.md (ARGS="-only 1,4 -quick")
	cd bench && $(GO) run -mod=mod . $(ARGS)

torture: ## the long reliability suite; SEED=n replays one
	$(GO) test -count=1 -timeout 300m -run Torture ./e2e -torture -seed=$(or $(SEED),0) -v

fuzz: ## every fuzz target for half a minute
	scripts/fuzz.sh

clean: ## remove what was built
	rm -rf bin .cache
