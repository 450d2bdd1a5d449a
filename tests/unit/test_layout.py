"""The rules of the layout: which way imports go, and how thin entry modules are."""

from __future__ import annotations

import ast
import tokenize
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
ENTRY_MODULES = sorted((ROOT / "functions").glob("*/main.py"))
MOST_LINES = 40
CLIENTS = {
    "aiohttp", "boto3", "confluent_kafka", "deltalake", "duckdb", "fastapi", "mlflow", "numpy", "onnxruntime", "pandas",
    "pyarrow", "redis", "sklearn", "starlette", "urllib3", "xgboost",
}  # fmt: skip
CLIENT_FREE = [*sorted((ROOT / "shared" / "contracts").glob("*.py")), ROOT / "shared" / "features" / "catalogue.py"]


def modules(folder: str) -> list[Path]:
    return sorted((ROOT / folder).rglob("*.py"))


def imported(path: Path) -> Iterator[str]:
    """Names of the modules that a file imports anywhere, also inside functions."""
    package = path.relative_to(ROOT).with_suffix("").parts[:-1]
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else ()
            module = ".".join((*base, *([node.module] if node.module else [])))
            yield module
            yield from (f"{module}.{alias.name}" for alias in node.names)


def lines_of_code(path: Path) -> int:
    """Lines that hold code: no blank lines, comments and docstrings."""
    strings = {
        line
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
        for line in range(node.lineno, (node.end_lineno or node.lineno) + 1)
    }
    nothing = {tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER}
    with tokenize.open(path) as source:
        code = {
            line
            for token in tokenize.generate_tokens(source.readline)
            if token.type not in nothing
            for line in range(token.start[0], token.end[0] + 1)
        }
    return len(code - strings)


def test_there_is_something_to_look_at() -> None:
    assert {"scorer", "feature_updater", "shadow_scorer", "train", "archiver"} <= {
        path.parent.name for path in ENTRY_MODULES
    }
    assert len(modules("shared")) > 50
    assert "shared.telemetry.logs" in set(imported(ROOT / "functions" / "scorer" / "main.py"))


@pytest.mark.parametrize("path", ENTRY_MODULES, ids=lambda path: path.parent.name)
def test_entry_modules_only_translate(path: Path) -> None:
    assert 0 < lines_of_code(path) <= MOST_LINES


def test_shared_imports_nothing_from_functions() -> None:
    wrong = {
        f"{path.relative_to(ROOT)} imports {name}"
        for path in modules("shared")
        for name in imported(path)
        if name.split(".")[0] == "functions"
    }
    assert wrong == set()


def test_functions_never_import_each_other() -> None:
    wrong = set()
    for path in modules("functions"):
        parts = path.relative_to(ROOT).parts
        own = parts[1] if len(parts) > 2 else None
        for name in imported(path):
            names = name.split(".")
            if names[0] == "functions" and names[1:2] not in ([], [own]):
                wrong.add(f"{path.relative_to(ROOT)} imports {name}")
    assert wrong == set()


@pytest.mark.parametrize("path", CLIENT_FREE, ids=lambda path: str(path.relative_to(ROOT)))
def test_contracts_and_catalogue_import_no_client(path: Path) -> None:
    assert {name.split(".")[0] for name in imported(path)} & CLIENTS == set()
