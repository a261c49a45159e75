"""What a summary says of the prompts of a run."""

from __future__ import annotations

from typing import Any

from steppe.core.bos import BOS_REASON
from steppe.store import Run
from steppe.study.reporting import short

_UNKNOWN = "not recorded"


def prompt_facts(run: Run) -> dict[str, object]:
    """The summary's lines on prompts, by their names; what was not recorded is said to be so."""
    resolved = run.config["resolved"]
    identity: dict[str, Any] = resolved.get("prompts_identity") or {}
    commit = f", commit {identity['revision']}" if identity.get("revision") else ""
    count, equal = identity.get("count"), identity.get("equal_share")
    lines: dict[str, object] = {
        "prompts": f"{resolved.get('prompts') or _UNKNOWN}{commit}, "
        f"{resolved.get('prompt_length', _UNKNOWN)} tokens "
        f"({short(identity) if identity.get('sha256') else _UNKNOWN}); "
        f"the first {_UNKNOWN if count is None else format(count, ',')} of the source, "
        f"{_UNKNOWN if equal is None else format(equal, '.2%')} of them equal to an earlier one",
        "BOS": f"{_BOS.get(resolved.get('bos'), _UNKNOWN)} ({_bos_reason(run) or _UNKNOWN})",
    }
    if identity.get("skipped_rows"):
        skipped, rows = identity["skipped_rows"], identity["rows"]
        lines["rows skipped"] = f"{skipped:,} of {rows:,} ({skipped / rows:.2%}) could not be used"
    return lines


_BOS = {"yes": "in front of each prompt", "no": "none is added"}


def _bos_reason(run: Run) -> str:
    """Why BOS is put or not, as the first start had it."""
    known = [run.config["resolved"], *(record for record in run.provenance)]
    found = [
        identity[BOS_REASON]
        for identity in (
            record.get("prompts_identity") or record.get("prompts") for record in known
        )
        if isinstance(identity, dict) and BOS_REASON in identity
    ]
    return str(found[0]) if found else ""
