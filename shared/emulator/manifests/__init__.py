"""Kubernetes and Knative manifests as typed models: what the emulator honours, and nothing that it would ignore."""

from shared.emulator.manifests.eventing import (
    DeliverySpec,
    Destination,
    KafkaSink,
    KafkaSource,
    ObjectReference,
    PingSource,
)
from shared.emulator.manifests.kubernetes import ConfigMap, Deployment, PodContainer, Probe, Secret
from shared.emulator.manifests.loader import Manifests, load_manifests
from shared.emulator.manifests.model import ManifestError
from shared.emulator.manifests.serving import AutoscalingAnnotations, Service

__all__ = [
    "AutoscalingAnnotations",
    "ConfigMap",
    "DeliverySpec",
    "Deployment",
    "Destination",
    "KafkaSink",
    "KafkaSource",
    "ManifestError",
    "Manifests",
    "ObjectReference",
    "PingSource",
    "PodContainer",
    "Probe",
    "Secret",
    "Service",
    "load_manifests",
]
