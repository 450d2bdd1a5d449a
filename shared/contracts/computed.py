"""Attributes computed at their first use and kept in the instance."""

from functools import cached_property
from typing import Any, TypeVar

Value = TypeVar("Value")


class computed_once(cached_property[Value]):  # noqa: N801 - used as functools.cached_property is
    """functools.cached_property without the lock that Python 3.11 takes at each first use.

    The lock costs more than computing what is kept here. Two threads may both compute it; they get the same.
    """

    def __get__(self, instance: object, owner: type[Any] | None = None) -> Any:
        """Compute the value; from now on the instance's own attribute hides this one."""
        if instance is None:
            return self
        value = instance.__dict__[self.func.__name__] = self.func(instance)
        return value
