#!/usr/bin/env bash
# Random faults on a fleet of its own, and an oracle at the end. `make chaos` is this.
#
#   CHAOS_SECONDS=120   how long faults go on
#   CHAOS_SEED=…        repeats the choices of an earlier run
#   CHAOS_SERVERS=3     NATS servers: 1, or a cluster of 3 on loopback
#   CHAOS_PAUSE=20      longest pause of a process, in seconds; up to 90
#   CHAOS_REPORT=…      a file for the report as JSON
set -euo pipefail
# shellcheck source=scripts/programs.sh
. "$(dirname "${BASH_SOURCE[0]}")/programs.sh"

scripts/ensure-tools.sh --demo
cargo build --locked -p navvy -p crash-tests
exec "$TARGET_DIR/debug/navvy-chaos" \
  --seconds "${CHAOS_SECONDS:-120}" \
  --servers "${CHAOS_SERVERS:-3}" \
  --longest-pause "${CHAOS_PAUSE:-20}" \
  ${CHAOS_SEED:+--seed "$CHAOS_SEED"} \
  ${CHAOS_REPORT:+--report "$CHAOS_REPORT"}
