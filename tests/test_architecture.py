"""The house rules: import order, the torch-free wing, sizes, and what `import steppe` costs."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

SOURCE = Path(__file__).resolve().parents[1] / "src" / "steppe"
RANKS = {
    name: rank
    for rank, name in enumerate(
        [
            "core",
            "models",
            "sae",
            "activations",
            "paths",
            "propagation",
            "directions",
            "metrics",
            "curves",
            "statistics",
            "comparisons",
            "store",
            "reports",
            "settings",
            "study",
            "checks",
            "studies",
            "execution",
            "cli",
        ]
    )
}
TORCH_FREE = {"core", "curves", "statistics", "comparisons", "store", "reports", "cli"}
TORCH = {"torch", "transformers", "safetensors.torch", "sae_lens", "transformer_lens"}
MAX_FILE, MAX_BODY, MAX_PARAMETERS = 400, 60, 5

# path:function -> why it may have more parameters than five.
MANY_PARAMETERS = {
    "cli/check.py:check": "one parameter is one command-line option",
    "cli/sweep.py:along": "one parameter is one command-line option",
    "directions/jacobian.py:jacobian_top": "the one-call entry for notebooks",
    "propagation/propagate.py:propagate": "the one-call entry for notebooks",
    "propagation/propagate.py:propagate_in_batches": "the same call in parts",
    "metrics/measure.py:measure": "the one-call entry for notebooks",
    "study/crossings.py:crossings": "the one-call entry for notebooks",
    "study/part.py:dataset_spec": "a dataset has that many sides",
    "models/model.py:load_model": "the one-call entry for notebooks",
    "models/prompts.py:load_prompts": "the one-call entry for notebooks",
}

TREES = {path: ast.parse(path.read_text()) for path in sorted(SOURCE.rglob("*.py"))}


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


def where(path: Path, node: ast.stmt | ast.expr) -> str:
    return f"{relative(path)}:{node.lineno}"


def module_name(path: Path) -> str:
    return ".".join(["steppe", *path.relative_to(SOURCE).with_suffix("").parts])


def test_imports_point_to_lower_ranks_at_the_head_of_a_file_and_in_no_circle() -> None:
    wrong = []
    for path, tree in TREES.items():
        own = package_of(path)
        for module, node in imported(tree) if own else ():
            package = steppe_package(module)
            if package not in {None, own} and RANKS[str(package)] >= RANKS[str(own)]:
                wrong.append(f"{where(path, node)} imports {module} of a higher rank")
        for function in functions(tree):
            for module, node in imported(function):
                if module.startswith("steppe"):
                    wrong.append(f"{where(path, node)} imports {module} inside a function")
    assert not wrong, "\n".join(wrong)
    edges = {
        module_name(path): {name for name, _ in imported(tree) if name.startswith("steppe.")}
        for path, tree in TREES.items()
        if path.name != "__init__.py"
    }
    assert tuple(TopologicalSorter({m: edges[m] & edges.keys() for m in edges}).static_order())


def loaded_after(statement: str) -> set[str]:
    code = f"import sys\n{statement}\nprint('\\n'.join(sys.modules))"
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    return set(result.stdout.split())


def test_the_analysis_wing_is_free_of_torch() -> None:
    wrong = [
        f"{where(path, node)} imports {module}"
        for path, tree in TREES.items()
        if package_of(path) in TORCH_FREE
        for module, node in imported(tree)
        if module in TORCH or module.split(".")[0] in TORCH
    ]
    assert not wrong, "\n".join(wrong)
    packages = sorted(TORCH_FREE - {"cli"})
    loaded = loaded_after("\n".join(f"import steppe.{name}" for name in packages))
    assert not {"torch", "transformers"} & loaded


def test_starting_is_cheap() -> None:
    assert not {"torch", "matplotlib", "numpy", "xarray"} & loaded_after("import steppe")
    heavy = {
        "torch",
        "transformers",
        "matplotlib",
        "numpy",
        "xarray",
        "pandas",
        "scipy",
        "pydantic",
    }
    assert not heavy & loaded_after("import steppe.cli.main")


def test_files_and_functions_are_short_and_take_few_parameters() -> None:
    wrong, in_use = [], set()
    for path, tree in TREES.items():
        if len(path.read_text().splitlines()) > MAX_FILE:
            wrong.append(f"{relative(path)} is too long")
        for function in functions(tree):
            place = f"{relative(path)}:{function.name}"
            if body_lines(function) > MAX_BODY:
                wrong.append(f"{place} has a body of {body_lines(function)} lines")
            if parameters(function) > MAX_PARAMETERS:
                in_use.add(place)
                if place not in MANY_PARAMETERS:
                    wrong.append(f"{place} takes {parameters(function)} parameters")
    wrong += [f"{place} needs no exception" for place in MANY_PARAMETERS.keys() - in_use]
    assert not wrong, "\n".join(wrong)


def body_lines(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    body = function.body
    has_docstring = ast.get_docstring(function) is not None
    first = body[1] if has_docstring and len(body) > 1 else body[0]
    return (function.end_lineno or first.lineno) - first.lineno + 1


def parameters(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    arguments = function.args
    names = [a.arg for a in [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]]
    return len([name for name in names if name not in {"self", "cls"}])


def test_every_file_says_what_it_answers() -> None:
    silent = [relative(path) for path, tree in TREES.items() if not ast.get_docstring(tree)]
    assert not silent, "\n".join(silent)


def test_printing_and_plotting_stay_where_they_belong() -> None:
    wrong = []
    for path, tree in TREES.items():
        if package_of(path) != "reports":
            wrong += [
                f"{where(path, node)} imports {module}"
                for module, node in imported(tree)
                if module.split(".")[0] == "matplotlib"
            ]
        if package_of(path) != "cli":
            wrong += [
                f"{where(path, node)} prints"
                for node in ast.walk(tree)
                if isinstance(node, ast.Call)
                and isinstance(node.func, ast.Name)
                and node.func.id == "print"
            ]
    assert not wrong, "\n".join(wrong)


def test_reports_of_these_studies_load_no_torch() -> None:
    studies = ("giglemiani2024", "heimersheim2024", "lee2024")
    modules = ["steppe.execution.outcome", "steppe.study.report"]
    modules += [f"steppe.studies.{name}.study" for name in studies]
    loaded = loaded_after("\n".join(f"import {name}" for name in modules))
    assert not {"torch", "transformers"} & loaded
