"""The tasks of this repository: `invoke postgres.sync`, `invoke redis.sync`, `invoke portal.sync`.

A sync compares what is to be deployed with what is deployed, and does nothing when they are
the same. What a real repository would send to a host or to Dokploy, this one writes into a
folder of this machine: HELLO_STATE/<environment>/<service>.
"""

from invoke import Collection, task

from libs.deploy import sync as deploy

SERVICES = {
    "postgres": "platform/01.postgres",
    "redis": "platform/02.redis",
    "portal": "platform/03.portal",
}


def tasks_of(service, folder):
    @task(name="sync", help={"force": "deploy even what has not changed"})
    def sync(_, force=False):
        """Deploy the service if it has changed."""
        deploy(service, folder, force)

    return Collection(service, sync)


namespace = Collection(*(tasks_of(service, folder) for service, folder in SERVICES.items()))
