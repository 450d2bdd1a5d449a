"""Environment of the emulated containers: what Knative and Kubernetes would give them, with local addresses."""

import math
import os
import re
import sys
from collections.abc import Mapping
from pathlib import Path

from shared.emulator.manifests import Deployment, Manifests, PodContainer, Service

_FROM_HOST = ("HOME", "LANG", "LC_ALL", "TMPDIR", "TZ", "SSL_CERT_FILE", "VIRTUAL_ENV", "PYTHONPATH", "USER")
_SERVICE_ADDRESS = re.compile(
    r"\bhttp://([a-z0-9-]+)(?:\.[a-z0-9-]+)?(?:\.svc(?:\.cluster\.local)?)(?=[/:]|$)(?::80\b)?"
)


def container_environment(
    manifests: Manifests,
    owner: Service | Deployment,
    container: PodContainer,
    given: Mapping[str, str],
    urls: Mapping[str, str],
) -> dict[str, str]:
    """Environment of a container.

    A container inherits nothing from the host but what a program needs to run at all.

    Args:
        manifests: Where ConfigMaps and Secrets stand.
        owner: The manifest that the container belongs to.
        container: The container.
        given: Values that win over the manifests' (addresses of the backing services).
        urls: Local address of each service; in-cluster addresses of them are replaced.

    Raises:
        ManifestError: a ConfigMap or Secret is missing.
    """
    host = {name: os.environ[name] for name in _FROM_HOST if name in os.environ}
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)])
    declared = manifests.environment(owner.kind, owner.metadata.name, container, given)
    local = {name: _local_addresses(value, urls) for name, value in declared.items()}
    return host | {"PATH": path, "PYTHONUNBUFFERED": "1"} | local


def service_environment(service: Service, port: int) -> dict[str, str]:
    """What Knative's runtime contract adds for a service that listens on `port`."""
    return {
        "PORT": str(port),
        "K_SERVICE": service.name,
        "K_REVISION": service.revision,
        "K_CONFIGURATION": service.name,
    }


def _local_addresses(value: str, urls: Mapping[str, str]) -> str:
    """Replace `http://SERVICE.NAMESPACE.svc.cluster.local` by the local address of that service."""
    return _SERVICE_ADDRESS.sub(lambda match: urls.get(match[1], match[0]), value)


def niceness(container: PodContainer) -> int:
    """Scheduling weight of a container as a nice value: requested CPU is to one core as the kernel's weights are.

    A cgroup's share grows with the requested CPU; a step of niceness is a factor of 1.25 (kernel/sched/core.c,
    `sched_prio_to_weight`). Without a request, or from one core on, it is 0.
    """
    cores = container.resources.requests.cpu
    if not cores:
        return 0
    return min(19, max(0, round(math.log(1 / cores) / math.log(1.25))))
