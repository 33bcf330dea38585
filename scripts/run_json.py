#!/usr/bin/env python3
"""Reads what `navvy deploy` and `navvy run` print with --json, for demo.sh.

    run_json.py id|status|reason|plan|outputs|address  < JSON

Prints the asked part as plain text, and nothing when the answer has none.
"""

import json
import sys


def decoded(value):
    """A field that holds JSON, as the object itself or as its text."""
    return json.loads(value) if isinstance(value, str) and value.strip() else value


def plan(run):
    summary = decoded(run.get("plan") or run.get("plan_output"))
    if not isinstance(summary, dict):
        return None
    counts = ", ".join(f"{summary.get(name, 0)} {name}" for name in ("adds", "changes", "destroys", "replacements"))
    lines = [f"  {entry.get('action', '?'):<8} {entry.get('address', '?')}" for entry in summary.get("resources", [])
             if isinstance(entry, dict)]
    return "\n".join([f"  {counts}", *lines])


def outputs(run):
    """{name: value} of the tool's outputs; the fleet has masked sensitive ones."""
    found = decoded(run.get("outputs") or run.get("apply_output"))
    if not isinstance(found, dict):
        return {}
    return {name: entry.get("value") if isinstance(entry, dict) else entry for name, entry in found.items()}


def show(value):
    return value if isinstance(value, str) else json.dumps(value)


def part(name, run):
    if name == "id":
        return run.get("id") or run.get("deployment_id")
    if name == "status":
        return run.get("status")
    if name == "reason":
        return run.get("error") or (json.dumps(run["failure"]) if run.get("failure") else None)
    if name == "plan":
        return plan(run)
    if name == "outputs":
        return "\n".join(f"  {key} = {show(value)}" for key, value in outputs(run).items())
    if name == "address":
        return outputs(run).get("address")
    sys.exit(f"run_json: unknown part {name}")


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    try:
        run = json.load(sys.stdin)
    except ValueError as error:
        sys.exit(f"run_json: not JSON: {error}")
    value = part(sys.argv[1], run)
    if value:
        print(value)


if __name__ == "__main__":
    main()
