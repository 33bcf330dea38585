#!/usr/bin/env bash
# `make demo`: a fleet of one on this machine deploys examples/terraform-hello,
# from a git repository that is served over HTTP for it. Shows the live logs and the
# plan, approves, prints the outputs, runs examples/orders-hello, pushes to
# examples/gitops-hello, and stays until Ctrl-C.
#
#   DEMO_EXIT=1   end after the outputs instead of staying; exit 0 when the run succeeded
#   DEMO_DIR=DIR  where everything is kept (default .demo; emptied at the start)
set -euo pipefail
# shellcheck source=scripts/programs.sh
. "$(dirname "${BASH_SOURCE[0]}")/programs.sh"
# shellcheck source=scripts/demo_syncs.sh
. scripts/demo_syncs.sh

DEMO_DIR="${DEMO_DIR:-$ROOT/.demo}"
START_SECONDS=120 # for a program to say that it is ready
RUN_SECONDS=600   # for a run to reach its next stop
navvy="$TARGET_DIR/debug/navvy"
children=()
staying=no

say() { printf '\n== %s\n' "$*"; }
die() {
  printf '\ndemo: %s\n' "$*" >&2
  exit 1
}

# --- children: started, awaited and ended here, by their own ids ---------------

# start NAME COMMAND…: in the background, its output in files named after it. In a
# process group of its own, so that Ctrl-C reaches this script alone, which then ends
# the others in order.
start() {
  local name="$1"
  shift
  : >"$DEMO_DIR/$name.out" # await_line may look before the child has opened it
  set -m
  "$@" >"$DEMO_DIR/$name.out" 2>"$DEMO_DIR/$name.err" </dev/null &
  set +m
  child=$!
  children+=("$child")
}

# end PID: asks, waits, and only then kills with all that it started itself.
end() {
  local waited=0
  kill -TERM "$1" 2>/dev/null || true
  while kill -0 "$1" 2>/dev/null; do
    waited=$((waited + 1))
    if [[ "$waited" -gt 300 ]]; then
      echo "demo: process $1 did not end in 30 seconds; killing it" >&2
      kill -KILL -- "-$1" 2>/dev/null || true
      return 1
    fi
    sleep 0.1
  done
  wait "$1" 2>/dev/null || true
}

clean_up() {
  local status=$? index
  trap "" INT TERM HUP
  for ((index = ${#children[@]} - 1; index >= 0; index--)); do
    end "${children[index]}" || status=1
  done
  rm -f "$DEMO_DIR/pid"
  exit "$status"
}

on_signal() {
  [[ "$staying" == no ]] || exit 0
  exit 130
}

# await_line NAME PID PATTERN: waits for a line of a child's output, prints its last word.
await_line() {
  local name="$1" pid="$2" pattern="$3" tries
  for ((tries = START_SECONDS * 10; tries > 0; tries--)); do
    if grep -q "$pattern" "$DEMO_DIR/$name.out"; then
      grep -m 1 "$pattern" "$DEMO_DIR/$name.out" | awk '{ print $NF }'
      return 0
    fi
    kill -0 "$pid" 2>/dev/null || break
    sleep 0.1
  done
  tail -n 30 "$DEMO_DIR/$name.err" >&2
  echo "demo: $name did not come up; its output is in $DEMO_DIR/$name.err" >&2
  return 1
}

# --- the steps -----------------------------------------------------------------

prepare_folder() {
  if [[ -f "$DEMO_DIR/pid" ]] && kill -0 "$(cat "$DEMO_DIR/pid")" 2>/dev/null; then
    echo "demo: another demo (process $(cat "$DEMO_DIR/pid")) uses $DEMO_DIR" >&2
    exit 1
  fi
  # Only what an earlier demo left: DEMO_DIR may have been set to any folder.
  rm -rf "$DEMO_DIR"/{data,git,work,gitops,deployed,logs.txt} "$DEMO_DIR"/*.{out,err}
  mkdir -p "$DEMO_DIR"
  chmod 700 "$DEMO_DIR"
  echo $$ >"$DEMO_DIR/pid"
}

# The example as a repository of its own, as a user would have it.
make_repository() {
  local work="$DEMO_DIR/work" bare="$DEMO_DIR/git/hello.git"
  unset GIT_DIR GIT_WORK_TREE GIT_INDEX_FILE
  export GIT_CONFIG_GLOBAL=/dev/null GIT_CONFIG_NOSYSTEM=1
  mkdir -p "$work"
  cp examples/terraform-hello/*.tf examples/terraform-hello/README.md "$work/"
  git init -q --bare "$bare"
  git init -q "$work"
  git -C "$work" symbolic-ref HEAD refs/heads/main
  git -C "$bare" symbolic-ref HEAD refs/heads/main
  git -C "$work" add .
  git -C "$work" -c user.name=demo -c user.email=demo@example.com commit -q -m "Say hello"
  git -C "$work" push -q "$bare" main
}

start_fleet() {
  start git-server python3 -B tests/fixtures/git_http_server.py --root "$DEMO_DIR/git" --listen 127.0.0.1:0
  git_url="$(await_line git-server "$child" '^ready ')"
  make_gitops
  start navvy "$navvy" up --config "$DEMO_DIR/navvy.toml" --data-dir "$DEMO_DIR/data" --listen 127.0.0.1:0 --allow-git-host "${git_url#http://}"
  fleet="$child"
  NAVVY_URL="$(await_line navvy "$fleet" '^navvy ready ')"
  NAVVY_TOKEN="$(cat "$DEMO_DIR/data/admin-token")"
  export NAVVY_URL NAVVY_TOKEN
  # Everything here is on this machine; a proxy set for the internet is not for it.
  export NO_PROXY="127.0.0.1${NO_PROXY:+,$NO_PROXY}" no_proxy="127.0.0.1${no_proxy:+,$no_proxy}"
}

submit() {
  local tool=terraform answer
  has_version terraform "$TOOL_MINIMUM" || tool=tofu
  say "deploying $git_url/hello.git at main with $tool"
  answer="$("$navvy" deploy --tool "$tool" --git-url "$git_url/hello.git" --git-ref main --json)"
  run="$(scripts/run_json.py id <<<"$answer")"
  [[ -n "$run" ]] || die "the gateway's answer names no run: $answer"
  echo "run $run"
}

# Logs go to a file, and from there to the terminal: so that they and the words of
# this script do not get mixed up.
follow_logs() {
  local colour=never
  [[ ! -t 1 || -n "${NO_COLOR:-}" ]] || colour=always
  start logs "$navvy" logs --follow --color "$colour" "$run"
  follower="$child"
  shown=0
}

show_new_logs() {
  local size
  size="$(($(wc -c <"$DEMO_DIR/logs.out")))"
  if [[ "$size" -gt "$shown" ]]; then
    tail -c "+$((shown + 1))" "$DEMO_DIR/logs.out" | head -c "$((size - shown))"
    shown="$size"
    return 0
  fi
  return 1
}

# await_stop: shows the logs until the run no longer runs; sets $state and $status.
# $1 is a status that is not a stop here, because the run is on its way out of it.
await_stop() {
  local end=$((SECONDS + RUN_SECONDS))
  while true; do
    state="$("$navvy" run "$run" --json)"
    status="$(scripts/run_json.py status <<<"$state")"
    show_new_logs || true
    case "$status" in
      "" | running | "${1:-running}") ;;
      *) break ;;
    esac
    [[ "$SECONDS" -lt "$end" ]] || die "run $run is still $status after $RUN_SECONDS seconds"
    sleep 0.3
  done
}

# The status may come a moment before the last lines.
drain_logs() {
  local quiet=0 tries
  for ((tries = 0; tries < 50 && quiet < 3; tries++)); do
    if show_new_logs; then quiet=0; else quiet=$((quiet + 1)); fi
    sleep 0.1
  done
}

# A stream that ends with the run is the proof that nothing is missing.
finish_logs() {
  local tries
  for ((tries = 0; tries < 300; tries++)); do
    kill -0 "$follower" 2>/dev/null || break
    show_new_logs || true
    sleep 0.1
  done
  drain_logs
}

run_to_the_gate() {
  say "live logs"
  follow_logs
  await_stop
  drain_logs
  [[ "$status" == awaiting_approval ]] || fail
  say "the plan"
  scripts/run_json.py plan <<<"$state"
}

approve_and_apply() {
  say "approving; from here on the logs are those of the apply"
  "$navvy" approve "$run"
  await_stop awaiting_approval
  finish_logs
  [[ "$status" == success ]] || fail
}

fail() {
  die "run $run ended as $status. $(scripts/run_json.py reason <<<"$state") The fleet's own log: $DEMO_DIR/navvy.err"
}

show_result() {
  say "outputs"
  scripts/run_json.py outputs <<<"$state"
  say "the service's address: $(scripts/run_json.py address <<<"$state")"
  echo "   the fleet's address:   $NAVVY_URL"
}

# The other kind of run: shell commands that wait for one another, the last of which may fail.
run_orders() {
  say "a job of orders: examples/orders-hello"
  local told orders
  told="$("$navvy" orders submit --watch examples/orders-hello/job.json)" || die "the job of orders did not succeed"
  printf '%s\n' "$told"
  orders="${told%%$'\n'*}"
  "$navvy" run graph "$orders"
  "$navvy" run done "$orders"
}

stay() {
  cat <<HINTS

The fleet is running. In another terminal:
  export NAVVY_URL=$NAVVY_URL NAVVY_TOKEN_FILE=$DEMO_DIR/data/admin-token
  $navvy runs
  $navvy run $run
  $navvy workers
Ctrl-C ends it.
HINTS
  staying=yes
  # A trapped signal ends the wait and the script; so what comes after is an accident.
  wait "$fleet" || true
  die "the fleet ended by itself; its log is $DEMO_DIR/navvy.err"
}

scripts/ensure-tools.sh --demo
say "building"
cargo build --workspace --locked
prepare_folder
trap clean_up EXIT
trap on_signal INT TERM HUP
make_repository
say "starting the fleet"
start_fleet
echo "gateway, scheduler, worker and nats-server serve at $NAVVY_URL"
submit
run_to_the_gate
approve_and_apply
show_result
run_orders
follow_gitops
run_syncs
[[ "${DEMO_EXIT:-0}" != 1 ]] || exit 0
stay
