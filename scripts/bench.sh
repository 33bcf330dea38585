#!/usr/bin/env bash
# Measures this machine with an optimised build. Arguments go to `navvy bench` (--json, --jobs N, …).
# The comparison of terraform through Navvy with terraform by hand needs a repository, which is made and served here:
# `hello` is as small as it gets (its ratio is all overhead), `busy` takes as long as a small real one.
set -euo pipefail
cd "$(dirname "$0")/.."
# shellcheck source=scripts/programs.sh
. scripts/programs.sh

scripts/ensure-tools.sh
cargo build --release --locked -p navvy
dir="$(mktemp -d)"
server=""
cleanup() {
  if [ -n "$server" ]; then kill "$server" 2>/dev/null || true; fi
  rm -rf "$dir"
}
trap cleanup EXIT

mkdir -p "$dir/work/busy" "$dir/served"
cp -r examples/terraform-hello "$dir/work/hello"
cat > "$dir/work/busy/main.tf" <<'TF'
resource "terraform_data" "many" {
  count = 300
  input = "resource ${count.index}"
}
resource "terraform_data" "slow" {
  depends_on = [terraform_data.many]
  provisioner "local-exec" {
    command = "sleep 6"
  }
}
output "count" { value = length(terraform_data.many) }
TF
git init -q --bare -b main "$dir/served/bench.git"
git -C "$dir/work" init -q -b main
git -C "$dir/work" add -A
git -C "$dir/work" -c user.name=bench -c user.email=bench@example.invalid commit -qm bench
git -C "$dir/work" push -q "$dir/served/bench.git" main

python3 tests/fixtures/git_http_server.py --root "$dir/served" --listen 127.0.0.1:0 > "$dir/server" &
server=$!
until grep -q '^ready ' "$dir/server"; do
  kill -0 "$server" || { echo "the git server did not start" >&2; exit 1; }
  sleep 0.1
done
url="$(sed -n 's/^ready //p' "$dir/server")"
"$TARGET_DIR/release/navvy" bench --git-url "$url/bench.git" --path hello --path busy "$@"
