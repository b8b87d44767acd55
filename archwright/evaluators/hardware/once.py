"""A property that is computed when it is first asked for, then kept."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Generic, TypeVar

Value = TypeVar("Value")


class once(Generic[Value]):  # noqa: N801 - a decorator
    """``functools.cached_property`` without its lock.

    Python 3.11 has one lock for each such property of a class, under which blocks that
    run side by side would wait for one another. Two threads that ask the same object may
    both compute the value here, which is the same.
    """

    def __init__(self, make: Callable[[Any], Value]) -> None:
        self._make = make
        self.__doc__ = make.__doc__

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    def __get__(self, instance: object, owner: type | None = None) -> Value:
        value = self._make(instance)
        instance.__dict__[self._name] = value  # found there before this descriptor
        return value
