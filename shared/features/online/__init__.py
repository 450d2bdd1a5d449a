"""The online engine: exact features at decision time, from Redis or Valkey, in one round trip."""

from shared.features.online.engine import OnlineFeatures
from shared.features.online.merchant import LabelOutcome
from shared.features.online.wire import FeatureRead, ReadStatus

__all__ = ["FeatureRead", "LabelOutcome", "OnlineFeatures", "ReadStatus"]
