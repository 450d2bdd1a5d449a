"""A namespace of the comparison's own and the receiver in it; all of it goes with the namespace."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.e2e.knative.cluster import Cluster, Object
from tests.e2e.knative.receiver import PORT

SPACE = "fraud-same"
RESTRICTED: Object = {
    "allowPrivilegeEscalation": False,
    "readOnlyRootFilesystem": True,
    "runAsNonRoot": True,
    "capabilities": {"drop": ["ALL"]},
    "seccompProfile": {"type": "RuntimeDefault"},
}
RESOURCES: Object = {"requests": {"cpu": "50m", "memory": "64Mi"}, "limits": {"memory": "256Mi"}}


@contextmanager
def own_namespace(cluster: Cluster) -> Iterator[None]:
    """A namespace that takes restricted pods only; it and what is in it are removed at the end."""
    labels = {"pod-security.kubernetes.io/enforce": "restricted"}
    apply(cluster, {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": SPACE, "labels": labels}})
    try:
        yield
    finally:
        # A namespace waits for the grace periods of the pods that it finds, which nobody needs any more.
        cluster.kubectl("delete", "ksvc", "--all", namespace=SPACE)
        cluster.kubectl("delete", "pods", "--all", "--force", "--grace-period=0", namespace=SPACE)
        cluster.kubectl("delete", "namespace", SPACE, "--timeout=110s")


def apply(cluster: Cluster, *objects: Object) -> None:
    items = json.dumps({"apiVersion": "v1", "kind": "List", "items": objects})
    cluster.kubectl("apply", "-f", "-", stdin=items, namespace=SPACE)


def function_image(cluster: Cluster) -> str:
    """An image with Python and the server of functions, which the cluster has."""
    spec = cluster.service("feature-updater")["spec"]["template"]["spec"]
    return str(spec["containers"][0]["image"])


def code(name: str, text: str) -> Object:
    """A ConfigMap with one module, `main.py`."""
    metadata = {"name": name, "namespace": SPACE}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {"main.py": text}}


@contextmanager
def receiver(cluster: Cluster) -> Iterator[str]:
    """Run the receiver; gives its address from here. In the cluster it is the Service `receiver`."""
    container = {
        "name": "receiver",
        "image": function_image(cluster),
        "command": ["python", "/code/main.py"],
        "ports": [{"containerPort": PORT}],
        "readinessProbe": {"httpGet": {"path": "/", "port": PORT}, "periodSeconds": 1},
        "resources": RESOURCES,
        "securityContext": RESTRICTED,
        "volumeMounts": [{"name": "code", "mountPath": "/code"}],
    }
    labels = {"app": "receiver"}
    metadata = {"name": "receiver", "namespace": SPACE, "labels": labels}
    pod = {
        "automountServiceAccountToken": False,
        "terminationGracePeriodSeconds": 1,
        "containers": [container],
        "volumes": [{"name": "code", "configMap": {"name": "receiver"}}],
    }
    ports = {"selector": labels, "ports": [{"port": 80, "targetPort": PORT}]}
    apply(
        cluster,
        code("receiver", Path(__file__).with_name("receiver.py").read_text()),
        {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": pod},
        {"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": ports},
    )
    cluster.kubectl("wait", "pod/receiver", "--for=condition=Ready", "--timeout=60s", namespace=SPACE)
    with cluster.forwarded("svc/receiver", 80, namespace=SPACE) as port:
        yield f"http://127.0.0.1:{port}"
