# shellcheck shell=bash
# shellcheck disable=SC2034  # used by the scripts that source this
# Which programs the scripts use, and of what version. Sourced by every script and
# by the Makefile, so that `make test`, `make demo` and a script run by hand see the
# same ones. Sets ROOT, TOOLS_BIN and TARGET_DIR, and changes to the repository's root.

ROOT="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
TOOLS_BIN="$ROOT/.tools/bin"
# Ours first: a pinned nats-server must win over an old one of the system.
# Last, two folders that a login shell has and a bare CI step often has not:
# cargo's, and the one where Debian keeps sshd.
export PATH="$TOOLS_BIN:$PATH:${CARGO_HOME:-${HOME:-/root}/.cargo}/bin:/usr/sbin:/sbin"
# The build's output folder; cargo honours the same variable.
TARGET_DIR="${CARGO_TARGET_DIR:-$ROOT/target}"
cd "$ROOT" || exit 1

NATS_MINIMUM=2.12.0 # atomic batch publish
TOOL_MINIMUM=1.4.0  # terraform_data, which the example uses
INVOKE_MINIMUM=2.0.0 # what examples/gitops-hello is written for
SOPS_MINIMUM=3.9.0  # its verbs are commands of their own

# True when the dotted version $1 is $2 or newer.
at_least() { printf '%s\n%s\n' "$2" "$1" | sort -C -t. -k1,1n -k2,2n -k3,3n; }

# Prints the version of nats-server, terraform, tofu, invoke or sops; nothing when it is missing or broken.
version_of() {
  local text
  case "$1" in
    nats-server) text="$(nats-server --version 2>/dev/null || true)" ;;
    invoke) text="$(invoke --version 2>/dev/null || true)" ;;
    # Without the option it asks the network for a newer one.
    sops) text="$(sops --disable-version-check --version 2>/dev/null || true)" ;;
    *) text="$("$1" version 2>/dev/null || true)" ;;
  esac
  # terraform prints warnings about its own configuration before the version.
  if [[ "$text" =~ (nats-server:|Terraform|OpenTofu|Invoke|sops)\ v?([0-9]+\.[0-9]+\.[0-9]+) ]]; then
    echo "${BASH_REMATCH[2]}"
  fi
}

# True when program $1 runs and is version $2 or newer.
has_version() {
  local have
  have="$(version_of "$1")"
  [[ -n "$have" ]] && at_least "$have" "$2"
}
