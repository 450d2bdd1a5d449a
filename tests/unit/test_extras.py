"""An image holds one extra's packages: each must hold whatever that image's code imports, at its top or later."""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from collections.abc import Iterator
from functools import cache
from importlib.metadata import packages_distributions, requires
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
DOCKERFILE = (ROOT / "Dockerfile").read_text()
OURS = ("functions", "shared")
SERVER = ROOT / "shared/hosts/serve.py"
UNDER_LAMBDA = "shared/hosts/aws_kafka.py"
FUNCTIONS = ("scorer", "feature-updater", "shadow-scorer", "train", "archiver", "drift", "promote")

DISTRIBUTIONS = {
    package: {canonicalize_name(one) for one in distributions}
    for package, distributions in packages_distributions().items()
}


def entries(extra: str) -> list[Path]:
    """The files that the extra's processes begin with, or import by a name that they are given."""
    if extra == "dispatcher":
        return [ROOT / "shared/emulator/delivery/__main__.py"]
    if extra == "backing":
        return [ROOT / "shared/backing/__main__.py"]
    folder = ROOT / "functions" / extra.replace("-", "_")
    own = [file for file in sorted(folder.rglob("*.py")) if file.name != "cli.py"]  # that is the fraud command's
    assert own
    if extra == "producer":
        return own
    return [SERVER, *own]


@pytest.mark.parametrize("extra", [*FUNCTIONS, "producer", "dispatcher", "backing"])
def test_an_extra_holds_what_its_code_imports(extra: str) -> None:
    assert not missing(imported(entries(extra), leave_out=ROOT / UNDER_LAMBDA), packages_of(extra))


@pytest.mark.parametrize("extra", FUNCTIONS)
def test_the_image_for_lambda_holds_them_too(extra: str) -> None:
    line = re.search(r"uv pip install --target /opt/lambda --constraints requirements.lock (.+)", DOCKERFILE)
    assert line
    assert not missing(imported(entries(extra)), packages_of(extra).union(line[1].split()))


def missing(needed: dict[str, Path], installed: frozenset[str]) -> dict[str, str]:
    brought = {name for name, distributions in DISTRIBUTIONS.items() if installed & distributions}
    return {name: str(importer.relative_to(ROOT)) for name, importer in needed.items() if name not in brought}


def imported(files: list[Path], leave_out: Path | None = None) -> dict[str, Path]:
    """Top-level packages of others that the files need, each with a file that imports it."""
    found: dict[str, Path] = {}
    seen = {leave_out}
    waiting = [*files]
    while waiting:
        file = waiting.pop()
        if file in seen:
            continue
        seen.add(file)
        for name in imports_of(file):
            top = name.split(".")[0]
            if top in OURS:
                waiting += modules(name)
            elif top not in sys.stdlib_module_names:
                found.setdefault(top, file)
    return found


@cache
def imports_of(file: Path) -> tuple[str, ...]:
    """Names that a file imports anywhere; what only the type checker reads does not count."""
    return tuple(_imports(ast.parse(file.read_text()).body))


def _imports(nodes: list[ast.stmt]) -> Iterator[str]:
    for node in nodes:
        match node:
            case ast.Import():
                yield from (alias.name for alias in node.names)
            case ast.ImportFrom():
                assert node.module
                yield node.module
                yield from (f"{node.module}.{alias.name}" for alias in node.names)
            case ast.If() if ast.unparse(node.test) == "TYPE_CHECKING":
                yield from _imports(node.orelse)
            case _:
                yield from _imports([child for child in ast.walk(node) if child is not node and is_import(child)])


def is_import(node: ast.AST) -> bool:
    return isinstance(node, ast.Import | ast.ImportFrom)


def modules(name: str) -> list[Path]:
    """The files that an import of one of our names runs."""
    parts = name.split(".")
    found = []
    for end in range(1, len(parts) + 1):
        path = ROOT.joinpath(*parts[:end])
        found += [file for file in (path / "__init__.py", path.with_suffix(".py")) if file.is_file()]
    return found


@cache
def packages_of(extra: str) -> frozenset[str]:
    """Names of all distributions that an installation with the extra brings."""
    found: set[tuple[str, str]] = set()
    waiting = [(PROJECT["name"], ""), (PROJECT["name"], extra)]
    while waiting:
        name, wanted = waiting.pop()
        if (name, wanted) in found:
            continue
        found.add((name, wanted))
        for requirement in map(Requirement, required(name, wanted)):
            if requirement.marker is None or requirement.marker.evaluate({"extra": wanted}):
                waiting += [(canonicalize_name(requirement.name), one) for one in ("", *requirement.extras)]
    return frozenset(name for name, _ in found)


def required(name: str, extra: str) -> list[str]:
    """What a distribution asks for; ours by its file, since an installation may be older."""
    if name != PROJECT["name"]:
        return requires(name) or []
    lines: list[str] = PROJECT["optional-dependencies"][extra] if extra else PROJECT["dependencies"]
    return lines
