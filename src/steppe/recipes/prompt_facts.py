"""What a summary says of the prompts of a run."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from steppe.recipes.reporting import short


def prompt_facts(resolved: Mapping[str, Any]) -> dict[str, object]:
    """The summary's lines on prompts, by their names.

    Args:
        resolved: The section ``resolved`` of a run's config.
    """
    identity = resolved["prompts_identity"]
    commit = f", commit {identity['revision']}" if identity["revision"] else ""
    lines: dict[str, object] = {
        "prompts": f"{resolved['prompts']}{commit}, {resolved['prompt_length']} tokens "
        f"({short(identity)}); the first {identity['count']:,} of the source, "
        f"{identity['equal_share']:.2%} of them equal to an earlier one",
        "BOS": ("in front of each prompt" if resolved["bos"] == "yes" else "none is added")
        + f" ({identity['bos_reason']})",
    }
    if identity["skipped_rows"]:
        skipped, rows = identity["skipped_rows"], identity["rows"]
        lines["rows skipped"] = f"{skipped:,} of {rows:,} ({skipped / rows:.2%}) could not be used"
    return lines
