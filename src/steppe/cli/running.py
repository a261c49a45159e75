"""How a request becomes a finished run folder, and what is said about it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from steppe.core.lazy import load


def run_study(asked: Mapping[str, Any], place: str, out: Path | None) -> None:
    """Run the study that ``asked`` describes and say where its results are.

    Args:
        asked: Settings as asked, with the key ``recipe``.
        place: Where the request came from, for errors.
        out: The run folder; by default ``runs/<recipe>-<subject>``.
    """
    settings = load("steppe.recipes.configuration:settings_of")(asked, place)
    folder = out or default_folder(settings)
    recipe = load("steppe.recipes.catalogue:find_recipe")(settings.recipe)
    print(f"{settings.recipe} on {settings.subject}: {settings.samples} samples -> {folder}")
    study = load(recipe.study)(settings, folder)
    load("steppe.execution.serial:run_serial")(study)
    print(f"done: {folder}")
    print(f"  read      {folder / 'summary.md'}")
    print(f"  tables    {folder / 'tables'}")
    print(f"  figures   {folder / 'figures'}")
    print(f"  again     steppe show {folder}")


def default_folder(settings: Any) -> Path:
    """``runs/<recipe>-<subject>``, with what was singled out by --only and --reading."""
    subject = str(settings.subject).rstrip("/").split("/")[-1]
    reading = [] if settings.reading == "code" else [settings.reading]
    return Path("runs") / "-".join([settings.recipe, subject, *reading, *settings.only])
