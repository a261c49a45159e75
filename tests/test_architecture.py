"""The house rules: import order, the torch-free wing, sizes, and what `import steppe` costs."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

SOURCE = Path(__file__).resolve().parents[1] / "src" / "steppe"
RANKS = {
    name: rank
    for rank, name in enumerate(
        [
            "core",
            "subject",
            "sae",
            "activations",
            "paths",
            "propagation",
            "readouts",
            "curves",
            "statistics",
            "comparisons",
            "store",
            "report",
            "recipes",
            "benchmark",
            "execution",
            "cli",
        ]
    )
}
TORCH_FREE = {"core", "curves", "statistics", "comparisons", "store", "report", "cli"}
TORCH = {"torch", "transformers", "safetensors.torch", "sae_lens", "transformer_lens"}
MAX_FILE, MAX_BODY, MAX_PARAMETERS = 400, 60, 5

# path:function -> why it may have more parameters than five.
MANY_PARAMETERS = {
    "cli/reproduce.py:reproduce": "one parameter is one command-line option",
    "cli/run.py:run": "one parameter is one command-line option",
    "cli/check.py:check": "one parameter is one command-line option",
    "propagation/propagate.py:propagate": "the one-call entry for notebooks",
    "propagation/propagate.py:propagate_in_batches": "the same call in parts",
    "readouts/measure.py:measure": "the one-call entry for notebooks",
    "subject/model.py:load_subject": "the one-call entry for notebooks",
}

FILES = sorted(SOURCE.rglob("*.py"))


def relative(path: Path) -> str:
    return path.relative_to(SOURCE).as_posix()


def package_of(path: Path) -> str | None:
    """The rank-bearing package of a file, or None for the package root."""
    parts = path.relative_to(SOURCE).parts
    return parts[0] if len(parts) > 1 else None


def imported(tree: ast.AST) -> Iterator[tuple[str, ast.stmt]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name, node
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            yield node.module, node
            for alias in node.names:
                yield f"{node.module}.{alias.name}", node


def steppe_package(module: str) -> str | None:
    parts = module.split(".")
    return parts[1] if parts[0] == "steppe" and len(parts) > 1 and parts[1] in RANKS else None


def functions(tree: ast.AST) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


@pytest.mark.parametrize("path", FILES, ids=relative)
def test_imports_point_to_lower_ranks(path: Path) -> None:
    own = package_of(path)
    if own is None:
        return
    for module, node in imported(ast.parse(path.read_text())):
        package = steppe_package(module)
        if package is not None and package != own:
            assert RANKS[package] < RANKS[own], f"{relative(path)}:{node.lineno} imports {module}"


@pytest.mark.parametrize("path", FILES, ids=relative)
def test_no_package_import_inside_a_function(path: Path) -> None:
    for function in functions(ast.parse(path.read_text())):
        for module, node in imported(function):
            assert not module.startswith("steppe"), (
                f"{relative(path)}:{node.lineno} imports {module}"
            )


def test_packages_have_no_import_cycle() -> None:
    edges = {
        module_name(path): {
            name for name, _ in imported(ast.parse(path.read_text())) if name.startswith("steppe.")
        }
        for path in FILES
        if path.name != "__init__.py"
    }
    seen: dict[str, str] = {}

    def visit(module: str, trail: tuple[str, ...]) -> None:
        assert seen.get(module) != "open", " -> ".join([*trail, module])
        if module in seen:
            return
        seen[module] = "open"
        for target in sorted(edges[module] & edges.keys()):
            visit(target, (*trail, module))
        seen[module] = "done"

    for module in edges:
        visit(module, ())


def module_name(path: Path) -> str:
    return ".".join(["steppe", *path.relative_to(SOURCE).with_suffix("").parts])


@pytest.mark.parametrize("path", FILES, ids=relative)
def test_the_analysis_wing_names_no_torch(path: Path) -> None:
    if package_of(path) not in TORCH_FREE:
        return
    for module, node in imported(ast.parse(path.read_text())):
        assert module.split(".")[0] not in TORCH, f"{relative(path)}:{node.lineno} imports {module}"
        assert module not in TORCH, f"{relative(path)}:{node.lineno} imports {module}"


def loaded_after(statement: str) -> set[str]:
    code = f"import sys\n{statement}\nprint('\\n'.join(sys.modules))"
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    return set(result.stdout.split())


def test_the_analysis_wing_loads_no_torch() -> None:
    packages = sorted(TORCH_FREE - {"cli"})
    loaded = loaded_after("\n".join(f"import steppe.{name}" for name in packages))
    assert not {"torch", "transformers"} & loaded


def test_importing_steppe_is_cheap() -> None:
    assert not {"torch", "matplotlib", "numpy", "xarray"} & loaded_after("import steppe")


def test_the_command_line_starts_without_heavy_packages() -> None:
    heavy = {"torch", "transformers", "matplotlib", "xarray", "pandas", "scipy"}
    assert not heavy & loaded_after("import steppe.cli.main")


@pytest.mark.parametrize("path", FILES, ids=relative)
def test_sizes(path: Path) -> None:
    text = path.read_text()
    assert len(text.splitlines()) <= MAX_FILE, f"{relative(path)} is too long"
    for function in functions(ast.parse(text)):
        where = f"{relative(path)}:{function.name}"
        assert body_lines(function) <= MAX_BODY, (
            f"{where} has a body of {body_lines(function)} lines"
        )
        if where not in MANY_PARAMETERS:
            assert parameters(function) <= MAX_PARAMETERS, f"{where} takes {parameters(function)}"


def body_lines(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    body = function.body
    has_docstring = ast.get_docstring(function) is not None
    first = body[1] if has_docstring and len(body) > 1 else body[0]
    return (function.end_lineno or first.lineno) - first.lineno + 1


def parameters(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    arguments = function.args
    names = [a.arg for a in [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]]
    return len([name for name in names if name not in {"self", "cls"}])


@pytest.mark.parametrize("path", FILES, ids=relative)
def test_every_file_says_what_it_answers(path: Path) -> None:
    assert ast.get_docstring(ast.parse(path.read_text())), f"{relative(path)} has no docstring"


@pytest.mark.parametrize("path", FILES, ids=relative)
def test_printing_and_plotting_stay_where_they_belong(path: Path) -> None:
    tree = ast.parse(path.read_text())
    if package_of(path) != "report":
        assert not [m for m, _ in imported(tree) if m.split(".")[0] == "matplotlib"]
    if package_of(path) != "cli":
        calls = [n for n in ast.walk(tree) if isinstance(n, ast.Call)]
        assert not [c for c in calls if isinstance(c.func, ast.Name) and c.func.id == "print"]


def test_every_exception_to_the_rules_is_in_use() -> None:
    for where in MANY_PARAMETERS:
        path, name = where.split(":")
        tree = ast.parse((SOURCE / path).read_text())
        assert any(f.name == name and parameters(f) > MAX_PARAMETERS for f in functions(tree)), (
            where
        )
