"""Preloaded libraries that give way to the user's own version.

A kernel is a fork of a process that has numpy, pandas and matplotlib imported already. Before user code runs, they
move out of `sys.modules` into a stash behind a finder that is asked first. When the name resolves, by the ordinary
path search, to the very file that the stash was loaded from, the stashed modules come back, which takes microseconds.
When it resolves to another file, the user has installed a version of their own: it is loaded.

A package comes back with all that it needs, or not at all. When the user has another version of what it needs, it is
loaded again from its files, if it is pure Python. Compiled modules are bound for the life of the process to those they
were first loaded with: to have pandas on another numpy takes another process (`displaced_by`).
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Callable, Iterable, Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ExtensionFileLoader, ModuleSpec, PathFinder
from types import ModuleType

Modules = dict[str, ModuleType]


def top_level(name: str) -> str:
    """Return the first part of a dotted module name."""
    return name.partition(".")[0]


def take(packages: Iterable[str]) -> Modules:
    """Remove packages, with their submodules, from `sys.modules` and return them."""
    wanted = frozenset(packages)
    return {name: sys.modules.pop(name) for name in list(sys.modules) if top_level(name) in wanted}


class Shelf(MetaPathFinder):
    """Modules that are out of `sys.modules` and come back by their name, for as long as the finder is active.

    To take the finder away costs nothing, where to remove the modules one by one would touch all their pages.
    """

    def __init__(self, modules: Modules) -> None:
        self._modules = modules

    def activate(self) -> None:
        """Begin to answer imports."""
        sys.meta_path.insert(0, self)

    def deactivate(self) -> None:
        """Leave imports to the ordinary finders."""
        sys.meta_path.remove(self)

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """See `importlib.abc.MetaPathFinder`."""
        module = self._modules.get(fullname)
        return None if module is None or target is not None else _spec_of_loaded(module)


class Stash(MetaPathFinder):
    """The finder, and what it holds. Made and hidden once in the template, activated in each kernel."""

    def __init__(self, packages: Iterable[str], restored: Callable[[frozenset[str]], None]) -> None:
        """`packages` are the top-level names to hold; `restored` is called with those that came back."""
        self._restored = restored
        self._packages: dict[str, Modules] = {name: {} for name in packages if _is_found(name)}
        for name, module in list(sys.modules.items()):
            if top_level(name) in self._packages:
                self._packages[top_level(name)][name] = module
        self._needs = _closures({name: _references(modules) for name, modules in self._packages.items()})
        self._compiled = frozenset(name for name, modules in self._packages.items() if _is_compiled(modules))
        self.in_use = False
        """Whether anything came back yet."""

    def hide(self) -> None:
        """Take the packages out of `sys.modules`."""
        take(self._packages)

    def activate(self) -> None:
        """Begin to answer imports."""
        sys.meta_path.insert(0, self)

    def displaced_by(self, folder: str) -> bool:
        """Whether a folder has packages whose use rules out some of these: compiled ones cannot be loaded again."""
        try:
            names = {name.partition(".")[0] for name in os.listdir(folder)}
        except OSError:
            return False
        return any(needs & names for name, needs in self._needs.items() if name in self._compiled)

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """See `importlib.abc.MetaPathFinder`.

        Raises:
            ImportError: the package is the template's, but the user has another version of what it is bound to.
        """
        modules = self._packages.get(fullname)
        if modules is None or target is not None:  # A target: importlib.reload, which means what it says.
            return None
        others = [name for name in self._needs[fullname] if not self._is_the_templates(name)]
        if not others:
            self._restore(fullname)
            return _spec_of_loaded(modules[fullname])
        if fullname not in others and fullname in self._compiled:
            raise ImportError(
                f"{fullname} is loaded already, bound to the preinstalled version of {', '.join(sorted(others))}, and "
                "another version has been installed since this kernel started: restart the kernel (the code context) "
                "to use them together",
                name=fullname,
            )
        del self._packages[fullname]
        return None

    def _is_the_templates(self, package: str) -> bool:
        """Whether what is in the stash is what an import would load now."""
        if package not in self._packages:
            return False  # The user's, or loaded again.
        module = self._packages[package][package]
        present = sys.modules.get(package)
        return present is module if present is not None else _is_what_loads(module)

    def _restore(self, fullname: str) -> None:
        packages = self._needs[fullname]
        for package in packages:
            for name, module in self._packages[package].items():
                sys.modules.setdefault(name, module)
        self.in_use = True
        self._restored(packages)
        # Python looks again: were it there already, it would be loaded a second time from its own spec.
        del sys.modules[fullname]


class _Loaded(Loader):
    """Loads a module by handing out the one that is loaded already."""

    def __init__(self, module: ModuleType) -> None:
        self._module = module
        self._spec = module.__spec__

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        return self._module

    def exec_module(self, module: ModuleType) -> None:
        module.__spec__ = self._spec


def _is_found(name: str) -> bool:
    """Whether a loaded package can be found again. Cython makes modules that no file is behind."""
    module = sys.modules.get(name)
    return module is not None and _is_what_loads(module)


def _is_what_loads(module: ModuleType) -> bool:
    """Whether an import of its name would load this module's file."""
    ours, found = module.__spec__, PathFinder.find_spec(module.__name__)
    if ours is None or found is None:
        return False
    folders = [list(spec.submodule_search_locations or ()) for spec in (ours, found)]
    return found.origin == ours.origin and folders[0] == folders[1]


def _spec_of_loaded(module: ModuleType) -> ModuleSpec:
    origin = module.__spec__.origin if module.__spec__ else None
    return ModuleSpec(module.__name__, _Loaded(module), origin=origin, is_package=hasattr(module, "__path__"))


def _is_compiled(modules: Modules) -> bool:
    return any(isinstance(getattr(module, "__loader__", None), ExtensionFileLoader) for module in modules.values())


def _references(modules: Modules) -> frozenset[str]:
    """Return the top-level packages that these modules hold something of."""
    found = set()
    for module in modules.values():
        for value in list(vars(module).values()):
            name = value.__name__ if isinstance(value, ModuleType) else None
            if name is None:
                # Lazy objects may import, or fail, on any attribute access.
                with contextlib.suppress(Exception):
                    name = getattr(value, "__module__", None)
            if isinstance(name, str):
                found.add(top_level(name))
    return frozenset(found)


def _closures(direct: dict[str, frozenset[str]]) -> dict[str, frozenset[str]]:
    """Return for each package itself and all it needs, however indirectly, among the keys."""
    closures = {}
    for name in direct:
        reached: set[str] = set()
        waiting = [name]
        while waiting:
            current = waiting.pop()
            if current not in reached:
                reached.add(current)
                waiting += [needed for needed in direct[current] if needed in direct]
        closures[name] = frozenset(reached)
    return closures
