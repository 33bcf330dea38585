# shellcheck shell=bash
# shellcheck disable=SC2154  # variables of demo.sh, which sources this
# The part of the demo that syncs services: a push to a local repository, whose hook tells the fleet, becomes syncs of exactly
# the services that it changed. The tasks of examples/gitops-hello are run by the real `invoke`; they deploy into a folder.

# The example as a bare repository on the demo's git server, and the source that follows it. Before the fleet starts.
make_gitops() {
  local bare="$DEMO_DIR/git/gitops.git" work="$DEMO_DIR/gitops" secret="$DEMO_DIR/webhook-secret"
  mkdir -p "$work"
  cp -r examples/gitops-hello/{navvy.yaml,tasks.py,libs,platform,README.md} "$work/"
  git init -q --bare "$bare"
  git init -q "$work"
  git -C "$work" symbolic-ref HEAD refs/heads/main
  git -C "$bare" symbolic-ref HEAD refs/heads/main
  git -C "$work" remote add origin "$(absolute "$bare")"
  commit_gitops "Three services"
  git -C "$work" push -q origin main
  (umask 077 && python3 -c 'import secrets; print(secrets.token_hex(32))' >"$secret" &&
    echo "HELLO_STATE=$(absolute "$DEMO_DIR")/deployed" >"$DEMO_DIR/services.env")
  cat >"$DEMO_DIR/navvy.toml" <<TOML
[worker.sync]
secrets_file = "$(absolute "$DEMO_DIR")/services.env"

[[sources]]
id = "platform"
kind = "github"
repository = "$git_url/gitops.git"
full_name = "acme/platform"
secrets_file = "$(absolute "$secret")"
TOML
}

# Once the fleet's address is known: pushes are told of from here on.
follow_gitops() {
  local bare="$DEMO_DIR/git/gitops.git"
  git -C "$bare" config navvy.url "$NAVVY_URL/hooks/platform"
  git -C "$bare" config navvy.secretFile "$(absolute "$DEMO_DIR/webhook-secret")"
  git -C "$bare" config navvy.repository acme/platform
  mkdir -p "$bare/hooks"
  cp examples/gitops-hello/post-receive "$bare/hooks/post-receive"
}

absolute() { python3 -c 'import os, sys; print(os.path.abspath(sys.argv[1]))' "$1"; }

commit_gitops() {
  git -C "$DEMO_DIR/gitops" add -A
  git -C "$DEMO_DIR/gitops" -c user.name=demo -c user.email=demo@example.com commit -q -m "$1"
}

# push_gitops: pushes, and waits for the run that the hook was answered with.
push_gitops() {
  local told
  told="$(git -C "$DEMO_DIR/gitops" push origin main 2>&1)" || die "the push was refused: $told"
  run="$(sed -n 's/.*navvy: \([0-9a-f-]\{36\}\).*/\1/p' <<<"$told")"
  [[ -n "$run" ]] || die "the push became no run: $told"
  await_run
  "$navvy" run "$run"
}

await_run() {
  local end=$((SECONDS + RUN_SECONDS))
  while true; do
    state="$("$navvy" run "$run" --json)"
    status="$(scripts/run_json.py status <<<"$state")"
    case "$status" in
      success) return 0 ;;
      "" | running) ;;
      *) fail ;;
    esac
    [[ "$SECONDS" -lt "$end" ]] || die "run $run is still $status after $RUN_SECONDS seconds"
    sleep 0.2
  done
}

run_syncs() {
  local work="$DEMO_DIR/gitops"
  say "a push of examples/gitops-hello: a library concerns every service"
  echo "# Said to everybody." >>"$work/libs/__init__.py"
  commit_gitops "A library"
  push_gitops
  say "a push that changes two services, and of a third only its README"
  sed -i.bak 's/postgres:17/postgres:18/' "$work/platform/01.postgres/compose.yaml"
  sed -i.bak 's/nginx:1.29/nginx:1.30/' "$work/platform/03.portal/compose.yaml"
  rm -f "$work"/platform/*/*.bak
  echo "About redis." >"$work/platform/02.redis/README.md"
  commit_gitops "Newer postgres and portal"
  push_gitops
}
