"""The online engine: exact features at decision time, from Redis or Valkey, in one atomic step per transaction."""

from shared.features.online.engine import OnlineFeatures
from shared.features.online.wire import FeatureRead, ReadStatus

__all__ = ["FeatureRead", "OnlineFeatures", "ReadStatus"]
