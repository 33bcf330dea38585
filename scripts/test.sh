#!/usr/bin/env bash
# Everything CI runs, in the order that fails soonest. `make test` is this.
#
#   test.sh          all steps
#   test.sh STEP…    only the named ones: lint, workflows, deny, fixtures, cargo, simulation, model, crash, doc
#
# CRASH_ROUNDS (3) is how often each crash point is played.
set -euo pipefail
# shellcheck source=scripts/programs.sh
. "$(dirname "${BASH_SOURCE[0]}")/programs.sh"

skipped=()
say() { printf '\n== %s\n' "$*"; }

step_lint() {
  say "formatting"
  cargo fmt --all --check
  say "clippy"
  cargo clippy --workspace --all-targets --locked -- -D warnings
  cargo clippy -p domain -p simulation -p model --all-targets --features simulation/planted-bugs,model/planted-bugs --locked -- -D warnings
  # What is compiled only with the points to die at.
  cargo clippy -p failpoint -p crash-tests --features crash-tests/failpoints --all-targets --locked -- -D warnings
}

# The workflows that people copy, and our own. They run nowhere here, so that this is all that finds a mistake in one.
step_workflows() {
  say "workflows of GitHub Actions"
  if command -v actionlint >/dev/null; then
    actionlint examples/*/.github/workflows/*.yml .github/workflows/*.yml
  else
    echo "SKIPPED: actionlint is not installed (go install github.com/rhysd/actionlint/cmd/actionlint@v1.7.12)"
    skipped+=("workflows")
  fi
}

# Licences, banned crates and sources. Not advisories: those change without a
# commit, so that a pass would depend on the day; `make audit` asks for them.
step_deny() {
  say "dependency rules (deny.toml)"
  if cargo deny --version >/dev/null 2>&1; then
    cargo deny --locked check bans licenses sources
  else
    echo "SKIPPED: cargo-deny is not installed (cargo install --locked cargo-deny)"
    skipped+=("dependency rules")
  fi
}

step_fixtures() {
  say "fixture servers"
  python3 -B tests/fixtures/fixtures_check.py
}

step_cargo() {
  say "build"
  # System tests start the binary itself, which `cargo test` alone may leave old.
  cargo build --workspace --locked
  say "tests"
  # Simulation, model and crash points have steps of their own: at full speed, with bugs planted, with points to die at.
  cargo test --workspace --locked
}

# Thousands of seeded histories, and proof that each planted bug is found. Nothing else is built with this feature: a
# binary that people run must not hold bugs on purpose.
step_simulation() {
  say "simulation"
  cargo test -p simulation --profile sim --features planted-bugs --locked
}

# Every state of the model, and a counterexample for each planted bug. At full speed and with bugs planted, as above.
step_model() {
  say "model"
  cargo test -p model --profile sim --features planted-bugs --locked
}

# A build of its own, with points to die at. After step cargo: a test looks into
# the plain binary too, and sees that it has none.
step_crash() {
  say "crash points"
  cargo build --locked -p navvy
  CRASH_ROUNDS="${CRASH_ROUNDS:-3}" cargo test --locked -p failpoint -p crash-tests --features crash-tests/failpoints -- --nocapture
}

step_doc() {
  say "documentation"
  RUSTDOCFLAGS="${RUSTDOCFLAGS:-} -D warnings" cargo doc --workspace --no-deps --locked
}

steps=("$@")
[[ $# -gt 0 ]] || steps=(lint workflows deny fixtures cargo simulation model crash doc)
# Before the first step, so that nothing is found missing after minutes of compiling.
case " ${steps[*]} " in
  *" cargo "* | *" crash "* | *" fixtures "*) scripts/ensure-tools.sh ;;
  *) scripts/ensure-tools.sh --rust ;;
esac
for step in "${steps[@]}"; do
  if ! declare -F "step_$step" >/dev/null; then
    echo "test.sh: unknown step $step (known: lint, workflows, deny, fixtures, cargo, simulation, model, crash, doc)" >&2
    exit 2
  fi
  "step_$step"
done

printf '\npassed: %s' "${steps[*]}"
if [[ ${#skipped[@]} -gt 0 ]]; then
  printf '; SKIPPED: %s' "${skipped[*]}"
fi
printf '\n'
