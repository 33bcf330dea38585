# shellcheck shell=bash
# shellcheck disable=SC2154  # scratch and the others are set by the script that sources this
# Two ways to an OpenTofu in .tools/bin, for machines with neither terraform nor
# tofu. Sourced by ensure-tools.sh, which brings say(), $scratch, $TOOLS_BIN, $ROOT.
# OpenTofu and not Terraform, because its licence lets anybody fetch and build it.
#
# The version stands here and in opentofu/go.mod. To raise it: change both,
# bring the replace and godebug lines of OpenTofu's go.mod over, run `go mod tidy`
# in opentofu/, and take the digests from the release's SHA256SUMS file.
OPENTOFU_VERSION=1.12.6
OPENTOFU_RELEASES="${OPENTOFU_RELEASES:-https://github.com/opentofu/opentofu/releases/download}"

# The release archive's digest, by platform.
opentofu_digest() {
  case "$1" in
    linux_amd64) echo 50a6106fa4de523d09c87af85f3db1dd47535fc005727fdca6852146476b88ec ;;
    linux_arm64) echo 9bd0228a81bcd0c88f7045c74378f45a815779f19897191dff7d9efba9976b9e ;;
    darwin_amd64) echo 44bb1855f372f17f365fb94517906e78da5001da10f4c98de57a39bf982f3a92 ;;
    darwin_arm64) echo f958ec5e511063be9feb180ca015a4cb7977566a9cf6a8550bba8c2a9b5aba74 ;;
    *) return 1 ;;
  esac
}

platform() {
  local os arch
  os="$(uname -s | tr '[:upper:]' '[:lower:]')"
  case "$(uname -m)" in
    x86_64 | amd64) arch=amd64 ;;
    aarch64 | arm64) arch=arm64 ;;
    *) arch="$(uname -m)" ;;
  esac
  echo "${os}_${arch}"
}

# Builds it from its Go module; go.sum pins every byte. Fails when there is no
# Go, one too old, or no module proxy: then the release is the other way.
build_opentofu() {
  command -v go >/dev/null || return 1
  say "building OpenTofu $OPENTOFU_VERSION with go (once; it takes some minutes)"
  mkdir -p "$TOOLS_BIN"
  # The release's own flags, so that `tofu version` says the same.
  (cd "$ROOT/scripts/opentofu" &&
    GOWORK=off CGO_ENABLED=0 nice go build -mod=readonly -trimpath -buildvcs=false \
      -ldflags '-s -w -X github.com/opentofu/opentofu/version.dev=no' \
      -o "$scratch/tofu" github.com/opentofu/opentofu/cmd/tofu) || return 1
  # A rename cannot cross file systems, and a copy can be cut short: both.
  cp "$scratch/tofu" "$TOOLS_BIN/.tofu.$$" && mv "$TOOLS_BIN/.tofu.$$" "$TOOLS_BIN/tofu"
}

# Downloads the release archive; nothing is unpacked unless its digest is ours.
download_opentofu() {
  local where digest archive="$scratch/tofu.tar.gz" url
  where="$(platform)"
  digest="$(opentofu_digest "$where")" || {
    say "no pinned OpenTofu release for $where"
    return 1
  }
  url="$OPENTOFU_RELEASES/v$OPENTOFU_VERSION/tofu_${OPENTOFU_VERSION}_$where.tar.gz"
  say "downloading $url"
  fetch "$url" "$archive" || return 1
  python3 "$ROOT/scripts/unpack.py" "$archive" tofu "$TOOLS_BIN/tofu" --sha256 "$digest"
}

# curl where there is one: it knows the system's certificates and proxies best.
fetch() {
  if command -v curl >/dev/null; then
    curl --fail --silent --show-error --location --retry 3 --max-time 600 --output "$2" "$1"
  else
    python3 -c 'import shutil, sys, urllib.request
try:
    with urllib.request.urlopen(sys.argv[1], timeout=60) as answer, open(sys.argv[2], "wb") as out:
        shutil.copyfileobj(answer, out)
except OSError as error:
    sys.exit(f"tools: {sys.argv[1]}: {error}")' "$1" "$2"
  fi
}
