"""Named things that anybody can add to: a decorator in a notebook, an entry point in a package."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from importlib.metadata import entry_points
from typing import Generic, Protocol, TypeVar

from steppe.core.errors import InputError
from steppe.core.names import find


class Named(Protocol):
    """What a registry holds: something that has a name."""

    @property
    def name(self) -> str:
        """How it is asked for."""


T = TypeVar("T", bound=Named)


class Registry(Mapping[str, T], Generic[T]):
    """Entries by name: the built-in ones, those registered, and those of installed packages.

    A package adds its own through the entry-point group ``steppe.<plural>``, for instance
    ``steppe.kinds``; an entry point names a module that registers when it is imported. Such modules
    are imported when a name is asked for that is not known yet, or when all names are listed.

    Args:
        what: What an entry is, in the singular, for errors: ``kind``.
        group: The plural, which ends the entry-point group's name: ``kinds``.
        entries: The built-in entries.
        derive: Makes the entry of a name that says by itself what it is, as ``pca:3``; None for
            any other name. Such entries are not listed.
    """

    def __init__(
        self,
        what: str,
        group: str,
        entries: Iterable[T] = (),
        derive: Callable[[str], T | None] = lambda _name: None,
    ) -> None:
        self.what = what
        self._derive = derive
        self.group = f"steppe.{group}"
        self._entries = {entry.name: entry for entry in entries}
        self._builtin = frozenset(self._entries)
        self._pending: list[str] | None = None

    def add(self, entry: T) -> T:
        """Register an entry; one of the same name that was registered before is replaced.

        So that a notebook's cell can be run again.

        Raises:
            InputError: The name is a built-in entry's, or not usable as a name.
        """
        if entry.name in self._builtin or self._derive(entry.name) is not None:
            raise InputError(
                f"{self.what} {entry.name!r}",
                got="the name of a built-in one",
                expected="a name of its own: published numbers depend on the built-in ones",
                fix="choose another name",
            )
        if not entry.name.isidentifier():
            raise InputError(
                f"{self.what}",
                got=repr(entry.name),
                expected="letters, digits and underscores, not beginning with a digit",
                fix="a name is a key in YAML files and a label in tables",
            )
        self._entries[entry.name] = entry
        return entry

    def is_own(self, name: str) -> bool:
        """Whether the entry of that name was registered, and is no built-in one."""
        return name not in self._builtin and name in self

    def find(self, name: str) -> T:
        """Return the entry of that name.

        Raises:
            InputError: There is none; the nearest name is suggested.
        """
        return find(name, self, self.what, f"`steppe list` shows every {self.what}")

    def __getitem__(self, name: str) -> T:
        derived = None if name in self._entries else self._derive(name)
        if derived is not None:
            return derived
        if name not in self._entries:
            self._load_packages()
        return self._entries[name]

    def __iter__(self) -> Iterator[str]:
        self._load_packages()
        return iter(tuple(self._entries))

    def __len__(self) -> int:
        self._load_packages()
        return len(self._entries)

    def _load_packages(self) -> None:
        """Import the modules that installed packages name, each once."""
        if self._pending is None:
            self._pending = [point.module for point in entry_points(group=self.group)]
        while self._pending:
            importlib.import_module(self._pending.pop())


def entry_of(function: Callable[..., object]) -> tuple[str, str]:
    """Name and one-line description of what a decorated function registers: its own."""
    doc = (function.__doc__ or "").strip().splitlines()
    return function.__name__, doc[0].rstrip(".") if doc else function.__name__.replace("_", " ")
