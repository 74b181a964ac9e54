#!/usr/bin/env bash
# The whole test of the product. Without arguments every stage runs; with arguments only those named, in order:
#   tools     look for what the tests need, and install what is missing where that is possible
#   lint      format, golangci-lint, go vet
#   postgres  start a PostgreSQL server of our own for the stages after it
#   unit      unit and store tests on both engines, with the race detector
#   gen       write the files that tests keep
#   system    the whole story over a network of nodes, without a browser, and the tests of the command line
#   e2e       browser journeys in headless Chromium
#
# A stage that fails does not stop the others: one run shows everything. With CI set nothing may be skipped.
set -euo pipefail
cd "$(dirname "$0")/.."

: "${GOLANGCI:=v2.15.0}"
export GOTOOLCHAIN="${GOTOOLCHAIN:-local}" GOFLAGS="${GOFLAGS:-}"
export PATH="$PWD/.cache/bin:$PATH"
mkdir -p .cache/bin .cache/tmp
work=$(mktemp -d)
failed=()

say() { printf '\n=== %s [%ss]\n' "$1" "$SECONDS"; }

pg_pid=
finish() {
  status=$?
  if [ -n "$pg_pid" ] && kill -0 "$pg_pid" 2>/dev/null; then
    kill -INT "$pg_pid" # fast shutdown: sessions are ended
    for _ in $(seq 50); do kill -0 "$pg_pid" 2>/dev/null || break; sleep 0.1; done
  fi
  rm -rf "$work"
  exit "$status"
}
trap finish EXIT

# --- tools -----------------------------------------------------------------------------------------------------

# need NAME PACKAGE: notes the distribution's package of a command that is missing.
missing=()
need() { command -v "$1" >/dev/null 2>&1 || missing+=("$2"); }

pg_bin() { # the folder of the server's programs, newest first; Debian keeps them off the path
  local d
  while read -r d; do
    [ -x "$d/initdb" ] && [ -x "$d/postgres" ] && [ -x "$d/pg_isready" ] && { echo "$d"; return; }
  done < <(find /usr/lib/postgresql /usr/pgsql-* -maxdepth 2 -name bin -type d 2>/dev/null | sort -rV; dirname "$(readlink -f "$(command -v initdb || echo /none/x)")")
  return 1
}

stage_tools() {
  command -v go >/dev/null || { echo "go is missing; install Go 1.26 from https://go.dev/dl/"; return 1; }
  pg_bin >/dev/null || missing+=(postgresql)
  command -v chromium >/dev/null || command -v chromium-browser >/dev/null || command -v google-chrome >/dev/null ||
    [ -n "${TRUC_TEST_CHROMIUM:-}" ] || missing+=(chromium)
  need pdftotext poppler-utils
  need pdfsig poppler-utils
  need mutool mupdf-tools
  need qpdf qpdf
  need certutil libnss3-tools
  need pk12util libnss3-tools
  need softhsm2-util softhsm2
  need openssl openssl
  need python3 python3
  need gcc gcc # the race detector links with it, and the signer program with devices' libraries
  if [ ${#missing[@]} -gt 0 ]; then
    local want; want=$(printf '%s\n' "${missing[@]}" | sort -u | tr '\n' ' ')
    if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
      echo "installing: $want"
      # shellcheck disable=SC2086 # several words
      (export DEBIAN_FRONTEND=noninteractive; apt-get update -q && apt-get install -y -q --no-install-recommends $want fonts-liberation) >"$work/apt.log" 2>&1 ||
        { tail -20 "$work/apt.log"; echo "missing and not installable here: $want"; return 1; }
    else
      echo "missing: $want"
      echo "install with: sudo apt-get install $want"
      return 1
    fi
  fi
  if ! [ -x .cache/bin/golangci-lint ] || ! .cache/bin/golangci-lint version 2>/dev/null | grep -qF "${GOLANGCI#v}"; then
    echo "building golangci-lint $GOLANGCI (once, one to four minutes)"
    GOBIN="$PWD/.cache/bin" GOFLAGS=-mod=mod go install "github.com/golangci/golangci-lint/v2/cmd/golangci-lint@$GOLANGCI" 2>"$work/install.log" ||
      { tail -20 "$work/install.log"; return 1; }
  fi
  go version
  .cache/bin/golangci-lint version
}

# --- lint ------------------------------------------------------------------------------------------------------

stage_lint() {
  local bad=0 diff
  diff=$(.cache/bin/golangci-lint fmt --diff ./... 2>&1) || true
  if [ -n "$diff" ]; then printf '%s\n' "$diff" | head -200; echo "format: run make fmt"; bad=1; fi
  .cache/bin/golangci-lint run --allow-parallel-runners --max-issues-per-linter 0 --max-same-issues 0 ./... || bad=1
  go vet ./... || bad=1
  (cd e2e && ../.cache/bin/golangci-lint run --allow-parallel-runners --config ../.golangci.yml --max-same-issues 0 ./... && go vet ./...) || bad=1
  (cd signer && ../.cache/bin/golangci-lint run --allow-parallel-runners --config ../.golangci.yml --max-same-issues 0 ./... && CGO_ENABLED=1 go vet ./...) || bad=1
  return $bad
}

# --- postgres --------------------------------------------------------------------------------------------------

stage_postgres() {
  if [ -n "${TRUC_TEST_POSTGRES:-}" ]; then echo "using TRUC_TEST_POSTGRES as given"; return; fi
  local bin dir port as=()
  bin=$(pg_bin) || { echo "PostgreSQL is not installed"; return 1; }
  dir="$work/pg"
  mkdir -p "$dir"
  if [ "$(id -u)" = 0 ]; then # the server refuses to run as root
    chmod 755 "$work"
    chown postgres "$dir"
    as=(setpriv --reuid=postgres --regid=postgres --clear-groups)
  fi
  port=$(python3 -c 'import socket; s=socket.socket(); s.bind(("127.0.0.1",0)); print(s.getsockname()[1])')
  (cd "$dir" && "${as[@]}" "$bin/initdb" --no-sync -A trust -U truc -E UTF8 --locale=C.UTF-8 -D "$dir/data") >"$work/initdb.log" 2>&1 || { tail "$work/initdb.log"; return 1; }
  (cd "$dir" && exec "${as[@]}" "$bin/postgres" -D "$dir/data" -p "$port" -k "$dir" -c listen_addresses=127.0.0.1 \
    -c fsync=off -c full_page_writes=off -c synchronous_commit=off -c max_connections=300 -c logging_collector=off) >"$dir/log" 2>&1 </dev/null &
  pg_pid=$!
  for _ in $(seq 100); do
    if "$bin/pg_isready" -q -h 127.0.0.1 -p "$port"; then
      "$bin/createdb" -h 127.0.0.1 -p "$port" -U truc truc
      export TRUC_TEST_POSTGRES="postgres://truc@127.0.0.1:$port/truc?sslmode=disable"
      "$bin/postgres" --version
      return
    fi
    kill -0 "$pg_pid" 2>/dev/null || break
    sleep 0.1
  done
  echo "PostgreSQL did not start"; tail "$dir/log"
  return 1
}

# --- tests -----------------------------------------------------------------------------------------------------

# gotest TITLE ARGS…: go test with a short report.
gotest() {
  local title=$1; shift
  go build -o .cache/bin/testsummary ./scripts/testsummary || return 1
  (go test -json "$@" 2>&1 || true) | .cache/bin/testsummary -title "$title"
}

# Everything runs with the race detector: it costs a minute, and a list of packages that need it would be wrong soon.
stage_unit() {
  local all bad=0
  all=$(go list -e -f '{{if or .TestGoFiles .XTestGoFiles}}{{.ImportPath}}{{end}}' ./... | grep -v '^truc/cmd/') || return 1
  # shellcheck disable=SC2086 # a list of packages
  gotest "unit and store tests" -count=1 -race -timeout 15m $all || bad=1
  (cd signer && { CGO_ENABLED=1 go test -json -count=1 -race -timeout 5m ./... 2>&1 || true; }) | .cache/bin/testsummary -title "signer program" || bad=1
  return $bad
}

stage_gen() { go test -count=1 ./internal/archtest -run 'TestMigrationsAreFrozen|TestSchemaIsWritten' -update && go run ./scripts/configdoc; }

# The story is the main job of the product, played through the nodes' own interfaces: file, pay, check, sign, fetch,
# verify, count. The program plays it itself, so that anybody can.
stage_system() {
  go build -o "$work/truc" ./cmd/truc || return 1
  local bad=0
  "$work/truc" demo -once -people 1000 -dir "$work/story" </dev/null || bad=1
  gotest "system tests" -count=1 -timeout 15m ./cmd/truc/... || bad=1
  return $bad
}

stage_e2e() {
  go build -o .cache/bin/testsummary ./scripts/testsummary || return 1
  rm -rf e2e/screenshots/out
  (cd e2e && { go test -json -count=1 -timeout 20m ./... 2>&1 || true; }) | .cache/bin/testsummary -title "browser journeys"
}

# --- run -------------------------------------------------------------------------------------------------------

stages=("$@")
[ ${#stages[@]} -gt 0 ] || stages=(tools lint postgres unit system e2e)
for s in "${stages[@]}"; do
  say "$s"
  # A stage runs in this shell, because postgres leaves its server and address to the others; errexit does not
  # reach into a tested function, so each stage returns its own status.
  if ! "stage_$s"; then
    failed+=("$s")
    echo "--- $s failed"
    if [ "$s" = tools ]; then break; fi
  fi
done

say "end"
if [ ${#failed[@]} -gt 0 ]; then
  echo "stages: $((${#stages[@]} - ${#failed[@]})) passed, ${#failed[@]} failed (${failed[*]})"
  exit 1
fi
echo "stages: ${#stages[@]} passed, 0 failed"
