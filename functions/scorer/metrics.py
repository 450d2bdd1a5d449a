"""The scorer's Prometheus metrics."""

from typing import Final

from prometheus_client import Counter, Histogram

_FAST: Final = (
    0.0005, 0.001, 0.0015, 0.002, 0.003, 0.004, 0.005, 0.0075, 0.01, 0.015, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5,
)  # fmt: skip

PREDICTIONS: Final = Counter("fraud_predictions_total", "Decisions answered.", ["decision", "model_version"])
CONTROL: Final = Counter("fraud_control_total", "Would-be declines let through as part of the control group.")
LATENCY: Final = Histogram(
    "inference_latency_seconds",
    "Whole request of one transaction, from its first byte in the application to the last byte of the answer.",
    buckets=_FAST,
)
STAGE: Final = Histogram(
    "fraud_stage_latency_seconds",
    "Time in one stage of the request; those after the queue are shared by all requests of a batch.",
    ["stage"],
    buckets=(0.00001, 0.000025, 0.00005, 0.0001, 0.00025, *_FAST),
)
STAGES: Final = {stage: STAGE.labels(stage) for stage in ("validate", "features", "predict", "publish")}
BATCH: Final = Histogram(
    "fraud_batch_size", "Requests that shared one round trip to the feature store.", buckets=(1, 2, 4, 8, 16, 32, 64)
)
DEGRADED: Final = Counter("fraud_degraded_total", "Decisions answered without the card's history.", ["reason"])
REFUSED: Final = Counter("fraud_requests_refused_total", "Requests refused with a problem document.", ["status"])
FEATURE_READS: Final = Counter("fraud_feature_reads_total", "Record-and-reads of the feature store.", ["status"])
FEATURE_CONFLICTS: Final = Counter(
    "fraud_feature_conflict_total", "Transactions whose id was known with other content; the first version counts."
)
FEATURE_TOO_LATE: Final = Counter(
    "fraud_feature_too_late_total", "Transactions older than the card's memory, answered from themselves alone."
)
FEATURE_CUT: Final = Counter(
    "fraud_feature_cut_total", "Reads whose longest windows reach beyond what a card with too many transactions holds."
)
MODEL_SWAPS: Final = Counter("fraud_model_swaps_total", "Models taken into service.")
MODEL_REFUSED: Final = Counter("fraud_model_refused_total", "Models refused because their check failed.")
REGISTRY_ERRORS: Final = Counter("fraud_registry_errors_total", "Failed look-ups in the model registry.")
