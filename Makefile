# Tools, pinned. The Go toolchain is pinned in go.mod.
GOLANGCI    := v2.15.0
GOVULNCHECK := v1.9.0
export GOLANGCI GOVULNCHECK

LINT := ./.cache/bin/golangci-lint
.DEFAULT_GOAL := help
.PHONY: help run demo check test test-pg lint fmt gen e2e vuln release

help: ## show this list
	@awk -F':.*## ' '/^[a-z0-9-]+:.*## / {printf "  make %-9s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

build:
	go build -o bin/truc ./cmd/truc

run: build ## start one node with ./truc.toml
	./bin/truc serve

demo: build ## start the demonstration network of five agencies
	./bin/truc demo

check: ## what a change needs before it is shown: format, lint, vet, unit and store tests
	./scripts/test.sh tools lint postgres unit

test: ## the whole test: check, system test, browser journeys, PDF files
	./scripts/test.sh

test-pg: ## unit and store tests on both database engines
	./scripts/test.sh tools postgres unit

lint: ## format and lint
	./scripts/test.sh tools lint

fmt: $(LINT) ## put the code into shape
	$(LINT) fmt ./...

gen: ## write the files that tests keep: schema, list of migrations
	./scripts/test.sh tools postgres gen

e2e: ## browser journeys against the demonstration network
	./scripts/test.sh tools e2e

vuln: ## known weaknesses in what we link (asks vuln.go.dev)
	go run golang.org/x/vuln/cmd/govulncheck@$(GOVULNCHECK) ./...

release: ## static programs for linux in bin/
	for arch in amd64 arm64; do \
	  CGO_ENABLED=0 GOOS=linux GOARCH=$$arch go build -trimpath -ldflags='-s -w' -o bin/truc-linux-$$arch ./cmd/truc || exit 1; \
	done
	cd bin && sha256sum truc-linux-* > SHA256SUMS

$(LINT):
	./scripts/test.sh tools
