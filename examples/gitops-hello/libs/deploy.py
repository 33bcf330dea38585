"""Deploys a compose file into a folder, if it is not deployed there already."""

import hashlib
import json
import os
import pathlib
import sys


def config_hash(compose, env):
    """What identifies a deployed service: its compose file and its variables."""
    lines = [f"{name}={value}" for name, value in sorted(env.items()) if value]
    return hashlib.sha256((compose + "\n---ENV---\n" + "\n".join(lines)).encode()).hexdigest()[:12]


def sync(service, folder, force):
    environment = os.environ["DEPLOY_ENV"]
    compose = pathlib.Path(folder, "compose.yaml").read_text(encoding="utf-8")
    env = {"ENV": environment, "ENV_SUFFIX": os.environ.get("ENV_SUFFIX", "")}
    wanted = config_hash(compose, env)
    place = pathlib.Path(os.environ["HELLO_STATE"], environment, service)
    mark = place / "IAC_CONFIG_HASH"
    deployed = mark.read_text(encoding="utf-8") if mark.exists() else None
    if deployed == wanted and not force:
        return tell("skipped", f"{wanted} is deployed already")
    place.mkdir(parents=True, exist_ok=True)
    (place / "compose.yaml").write_text(compose, encoding="utf-8")
    (place / "commit").write_text(os.environ.get("IAC_DEPLOY_REF", ""), encoding="utf-8")
    mark.write_text(wanted, encoding="utf-8")
    return tell("updated" if deployed else "created", f"{deployed or 'nothing'} -> {wanted}")


def tell(action, details):
    """Says what was done: to people, and to whoever started this."""
    print(f"{action}: {details}", file=sys.stderr)
    if "NAVVY_RESULT" in os.environ:
        result = {"action": action, "details": details}
        pathlib.Path(os.environ["NAVVY_RESULT"]).write_text(json.dumps(result), encoding="utf-8")
