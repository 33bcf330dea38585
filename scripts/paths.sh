# shellcheck shell=bash
# shellcheck disable=SC2034  # used by the scripts that source this
# Where the scripts find their programs. Sourced by every script and by the
# Makefile, so that `make test`, `make demo` and a script run by hand see the
# same ones. Sets ROOT and TOOLS_BIN, and changes to the repository's root.

ROOT="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
TOOLS_BIN="$ROOT/.tools/bin"
# Ours first: a pinned nats-server must win over an old one of the system.
# Last, two folders that a login shell has and a bare CI step often has not:
# cargo's, and the one where Debian keeps sshd.
export PATH="$TOOLS_BIN:$PATH:${CARGO_HOME:-${HOME:-/root}/.cargo}/bin:/usr/sbin:/sbin"
# The build's output folder; cargo honours the same variable.
TARGET_DIR="${CARGO_TARGET_DIR:-$ROOT/target}"
cd "$ROOT" || exit 1
