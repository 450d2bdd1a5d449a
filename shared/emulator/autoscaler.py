"""Knative's concurrency autoscaler (KPA) as a pure computation: samples and times in, number of replicas out.

The algorithm is that of knative/serving: `Decider` is pkg/autoscaler/scaling/autoscaler.go, `Scaler` is
pkg/reconciler/autoscaling/kpa (scaler.go, kpa.go) and `ScaleSpec.resolve` is the reconciler's resources/ (target.go,
metric.go, decider.go). Times are seconds of any clock that does not jump.
"""

import math
from dataclasses import dataclass
from enum import Enum
from typing import TypeVar

from shared.emulator.manifests.serving import Service
from shared.emulator.scaling_windows import WindowAverage, WindowMaximum

TICK_SECONDS = 2.0

_UNKNOWN = -1

T = TypeVar("T")


@dataclass(frozen=True)
class AutoscalerConfig:
    """The cluster's ConfigMap `config-autoscaler`: what holds where a manifest says nothing. Times in seconds."""

    target_fraction: float = 0.7
    concurrency_target_default: float = 100.0
    rps_target_default: float = 200.0
    max_scale_up_rate: float = 1000.0
    max_scale_down_rate: float = 2.0
    target_burst_capacity: float = 200.0
    panic_window_percentage: float = 10.0
    panic_threshold_percentage: float = 200.0
    stable_window: float = 60.0
    scale_to_zero_grace_period: float = 30.0
    scale_to_zero_pod_retention_period: float = 0.0
    enable_scale_to_zero: bool = True
    scale_down_delay: float = 0.0
    initial_scale: int = 1
    min_scale: int = 0
    max_scale: int = 0
    progress_deadline: float = 600.0  # of config-deployment


LOCAL_DEFAULTS = AutoscalerConfig(initial_scale=0, max_scale=8)
"""Knative's defaults, but for two that spare one machine: nothing starts that nobody needs, nothing grows for ever."""


@dataclass(frozen=True)
class ScaleSpec:
    """The scaling of one service, manifest and cluster defaults taken together."""

    metric: str
    target: float
    total: float
    target_burst_capacity: float
    panic_threshold: float
    stable_window: float
    panic_window: float
    scale_down_delay: float
    activation_scale: int
    initial_scale: int
    min_scale: int
    max_scale: int
    pod_retention: float
    activation_timeout: float
    config: AutoscalerConfig

    @classmethod
    def resolve(cls, service: Service, config: AutoscalerConfig) -> "ScaleSpec":
        """Take a service's annotations and fill in the cluster's defaults."""
        given = service.autoscaling
        hard_limit = service.spec.template.spec.container_concurrency
        total = config.rps_target_default if given.metric == "rps" else hard_limit or config.concurrency_target_default
        if given.target is not None:
            total = given.target
            if given.metric == "concurrency" and hard_limit:
                total = min(total, hard_limit)
        fraction = _or((given.target_utilization_percentage or 0) / 100 or None, config.target_fraction)
        stable = _or(given.window, config.stable_window)
        panic_percentage = _or(given.panic_window_percentage, config.panic_window_percentage)
        return cls(
            metric=given.metric,
            target=max(1.0, total * fraction),
            total=total,
            target_burst_capacity=_or(given.target_burst_capacity, config.target_burst_capacity),
            panic_threshold=_or(given.panic_threshold_percentage, config.panic_threshold_percentage) / 100,
            stable_window=stable,
            panic_window=max(1.0, math.floor(stable * panic_percentage / 100 + 0.5)),
            scale_down_delay=_or(given.scale_down_delay, config.scale_down_delay),
            activation_scale=given.activation_scale or 0,
            initial_scale=given.initial_scale or config.initial_scale,
            min_scale=_or(given.min_scale, config.min_scale),
            max_scale=_or(given.max_scale, config.max_scale),
            pod_retention=_or(given.scale_to_zero_pod_retention_period, config.scale_to_zero_pod_retention_period),
            activation_timeout=_or(given.progress_deadline, config.progress_deadline) + 10,
            config=config,
        )


def _or(given: T | None, default: T) -> T:
    return default if given is None else given


@dataclass(frozen=True)
class Decision:
    """What the decider wants: replicas, whether it panics, and what it saw."""

    desired: int
    panicking: bool
    stable: float
    panic: float
    excess_burst_capacity: int


class Decider:
    """Computes the desired number of replicas from what all replicas together had in flight.

    Args:
        spec: The service's scaling.
        ready: Ready replicas when observation begins; more than one begins in panic, so that a fresh observer does not
            scale down what it knows nothing about.
        now: Time of that beginning.
    """

    def __init__(self, spec: ScaleSpec, *, ready: int = 0, now: float = 0.0) -> None:
        self._spec = spec
        self._stable = WindowAverage(spec.stable_window)
        self._panic = WindowAverage(spec.panic_window)
        self._delay = WindowMaximum(spec.scale_down_delay, TICK_SECONDS) if spec.scale_down_delay > 0 else None
        self._panic_since: float | None = now if ready > 1 else None
        self._most_in_panic = ready

    def record(self, now: float, value: float) -> None:
        """Add one second's sample: the sum over all replicas of the metric (concurrency, or requests per second)."""
        self._stable.record(now, value)
        self._panic.record(now, value)

    def decide(self, now: float, ready: int) -> Decision | None:
        """The desired scale; None while there is no sample to decide by.

        Args:
            now: Time of the tick.
            ready: Ready replicas.
        """
        if self._stable.empty(now):
            return None
        spec, config = self._spec, self._spec.config
        stable, panic = self._stable.average(now), self._panic.average(now)
        replicas = max(1, ready)
        most = math.ceil(config.max_scale_up_rate * replicas)
        least = math.floor(replicas / config.max_scale_down_rate)
        by_stable, by_panic = math.ceil(stable / spec.target), math.ceil(panic / spec.target)
        desired = self._activated(by_stable, min(max(by_stable, least), most))
        desired_in_panic = self._activated(by_panic, min(max(by_panic, least), most))

        over = by_panic / replicas >= spec.panic_threshold
        if over:
            self._panic_since = now
        elif self._panic_since is not None and self._panic_since + spec.stable_window < now:
            self._panic_since = None
            self._most_in_panic = 0
        if self._panic_since is not None:  # a panic never scales down
            self._most_in_panic = max(self._most_in_panic, desired, desired_in_panic)
            desired = self._most_in_panic
        if self._delay is not None:
            desired = self._delay.record(now, desired)
        return Decision(desired, self._panic_since is not None, stable, panic, self._excess(ready, panic))

    def _activated(self, wanted: int, bounded: int) -> int:
        """`bounded`, but at least the activation scale when there is any demand."""
        return max(bounded, self._spec.activation_scale) if wanted > 0 and self._spec.activation_scale > 1 else bounded

    def _excess(self, ready: int, panic: float) -> int:
        burst = self._spec.target_burst_capacity
        if burst == 0:
            return 0
        return math.floor(ready * self._spec.total - burst - panic) if burst > 0 else -1


class Activity(Enum):
    """Whether a service takes traffic itself; inactive ones are on their way to zero."""

    ACTIVATING = "activating"
    ACTIVE = "active"
    INACTIVE = "inactive"


class Scaler:
    """Applies bounds and the road to zero to the decider's wish.

    Zero is reached in two steps. A service that was active for the stable window and is wanted at 0 becomes inactive:
    from then on requests would be held for it. It is stopped when it was inactive for the pod retention period and
    requests were ready to be held for the grace period.

    Args:
        spec: The service's scaling.
        now: Time of the beginning.
    """

    def __init__(self, spec: ScaleSpec, *, now: float = 0.0) -> None:
        self._spec = spec
        self._activity = Activity.ACTIVATING
        self._since = now
        self._initialized = False
        self._desired = _UNKNOWN
        self._excess = math.floor(spec.initial_scale * spec.total - spec.target_burst_capacity)
        if spec.target_burst_capacity <= 0:
            self._excess = int(spec.target_burst_capacity)
        self._held_since: float | None = now

    @property
    def activity(self) -> Activity:
        """The present state."""
        return self._activity

    @property
    def initial(self) -> int:
        """Replicas to start with."""
        return max(self._spec.initial_scale, self._spec.min_scale)

    def reconcile(self, now: float, decision: Decision | None, ready: int) -> int | None:
        """Number of replicas that shall run now; None leaves them as they are.

        Args:
            now: Time of the tick.
            decision: The decider's latest wish; None when it has no samples, which lets its last wish hold.
            ready: Ready replicas.
        """
        if decision is not None:
            self._desired, self._excess = decision.desired, decision.excess_burst_capacity
        applied, wanted = self._bounded(now)
        self._update_activity(now, wanted, ready)
        if wanted > 0 and self._excess >= 0:
            self._held_since = None
        elif self._held_since is None:
            self._held_since = now
        return applied

    def _bounded(self, now: float) -> tuple[int | None, int]:
        """The number to apply (None: leave) and the number wanted."""
        spec = self._spec
        if self._desired == _UNKNOWN and self._activity is not Activity.ACTIVATING:
            return None, _UNKNOWN
        low = spec.min_scale
        if spec.initial_scale > 1 and not self._initialized:
            low = max(spec.initial_scale, low)
        wanted = max(self._desired, low)
        if spec.max_scale:
            wanted = min(wanted, spec.max_scale)
        return (wanted, wanted) if wanted != 0 else self._towards_zero(now)

    def _towards_zero(self, now: float) -> tuple[int | None, int]:
        """As `_bounded`, when the wish is zero."""
        spec = self._spec
        age = now - self._since
        if not spec.config.enable_scale_to_zero:
            return 1, 1
        if self._activity is Activity.ACTIVATING:
            return (0, 0) if age >= spec.activation_timeout else (None, _UNKNOWN)
        if self._activity is Activity.ACTIVE:
            return (None, 0) if age >= spec.stable_window else (1, 1)
        if age >= max(spec.config.scale_to_zero_grace_period, spec.pod_retention):
            return 0, 0
        if age < spec.pod_retention:
            return None, 0
        held = now - self._held_since if self._held_since is not None else 0.0
        return (0, 0) if held >= spec.config.scale_to_zero_grace_period else (None, 0)

    def _update_activity(self, now: float, wanted: int, ready: int) -> None:
        """State table of kpa.go's computeActiveCondition."""
        spec = self._spec
        needed = max(spec.min_scale, 1 if self._initialized else spec.initial_scale)
        if ready >= needed:
            self._initialized = True
        resting = wanted == _UNKNOWN and self._activity is Activity.INACTIVE
        if wanted == 0 or needed == 0 or resting:
            activity = Activity.INACTIVE
        else:
            activity = Activity.ACTIVE if ready >= needed else Activity.ACTIVATING
        if activity is not self._activity:
            self._activity = activity
            self._since = now
