"""Latencies in bounded memory with a bounded relative error."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

_SUB_BITS = 8
_MANTISSA_BITS = 52
_SHIFT = _MANTISSA_BITS - _SUB_BITS
_FIRST = 1023 << _SUB_BITS  # bucket of 1.0: the exponent's bias
_OCTAVES = 43  # up to 2**43 ns, 2.4 hours
_BUCKETS = _OCTAVES << _SUB_BITS
_LARGEST = 2**_OCTAVES - 1

RELATIVE_ERROR = 2.0 ** -(_SUB_BITS + 1)
"""A percentile differs from the recorded value it stands for by at most this share of it (0.2 %)."""

Nanoseconds = npt.NDArray[np.int64]


class Histogram:
    """Counts of latencies in log-linear buckets: 256 of equal width in each power of two, as HDR histograms have.

    The bucket of a value is the exponent and the first eight mantissa bits of its double, so that whole arrays are
    recorded by a handful of vector operations. The existing `hdrhistogram` package records one value per call, at
    about a microsecond each, which is time the load generator's event loop does not have.
    """

    def __init__(self) -> None:
        self._counts: Nanoseconds = np.zeros(_BUCKETS, np.int64)
        self.count = 0
        self.largest = 0
        self._total = 0

    def add(self, latencies: Nanoseconds) -> None:
        """Record latencies in nanoseconds; values outside 1 ns to 2.4 h count at the nearer end."""
        if not latencies.size:
            return
        clipped = np.clip(latencies, 1, _LARGEST)
        buckets = (clipped.astype(np.float64).view(np.int64) >> _SHIFT) - _FIRST
        self._counts += np.bincount(buckets, minlength=_BUCKETS)
        self.count += int(clipped.size)
        self.largest = max(self.largest, int(clipped.max()))
        self._total += int(clipped.sum())

    def percentile(self, percent: float) -> int | None:
        """Return the nearest-rank percentile in nanoseconds, within `RELATIVE_ERROR`; None when nothing is recorded.

        Args:
            percent: Above 0, up to 100.
        """
        if not self.count:
            return None
        rank = math.ceil(percent / 100 * self.count)
        bucket = int(np.searchsorted(np.cumsum(self._counts), max(rank, 1)))
        return min(_middle(bucket), self.largest)

    @property
    def mean(self) -> float | None:
        """Arithmetic mean in nanoseconds, exact; None when nothing is recorded."""
        return self._total / self.count if self.count else None


def _middle(bucket: int) -> int:
    """Return the middle of a bucket in nanoseconds."""
    octave, part = divmod(bucket, 1 << _SUB_BITS)
    return round(2.0**octave * (1 + (part + 0.5) / (1 << _SUB_BITS)))
