"""The scores of every SAE as SAEBench writes an evaluation: one JSON file an SAE.

Names of metrics that SAEBench has are its own (`sae_bench/evals/core`); those of this study stand
in a category of their own, each with the ends of its 95% interval.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any

import numpy as np
import pandas as pd

from steppe.core.axes import SAE, SAMPLE
from steppe.core.provenance import shareable
from steppe.studies.lee2024.analysis import DIRECTIONS, SUBSTITUTIONS
from steppe.studies.lee2024.plan import Series
from steppe.studies.sae_scores.analysis import Scored
from steppe.studies.sae_scores.latents import LATENTS
from steppe.studies.sae_scores.measuring import FIT
from steppe.studies.sae_scores.scores import SCORES

# Scores that SAEBench has no name for.
OWN = [name for name in SCORES if name not in {"l0", "explained_variance", "loss_recovered",
                                               "kl_recovered"}]  # fmt: skip


def saebench(run: Scored) -> Mapping[str, Any]:
    """From file names to what they hold, as plain data; undefined is null."""
    return {
        f"{str(row['sae']).replace('/', '_')}_eval_results.json": _record(run, row)
        for _, row in run.table.iterrows()
    }


def _record(run: Scored, row: pd.Series) -> dict[str, Any]:
    started, fit = run.run.provenance[0], run.datasets["fit"].sel({SAE: row["sae"]})
    identity, config = run.constants["sae_identity"][row["sae"]], str(fit["cfg"].values)
    record = shareable(
        {
            "eval_type_id": "steppe_sae_scores",
            "eval_config": run.settings.model_dump(mode="json"),
            "eval_id": run.run.identity,
            "datetime_epoch_millis": int(
                1000 * datetime.fromisoformat(started["started"]).timestamp()
            ),
            "eval_result_metrics": metrics_of(run, row),
            "eval_result_details": details_of(run, row),
            "sae_bench_commit_hash": f"steppe {started['steppe']}",
            "sae_lens_id": identity.get("sae_id") or row["sae"],
            "sae_lens_release_id": identity.get("release") or identity["source"],
            "sae_lens_version": "not used",
            "sae_cfg_dict": json.loads(config) if config else None,
            "eval_result_unstructured": {"site": row["site"], "family": row["family"]},
        }
    )
    plain: dict[str, Any] = _plain(record)
    return plain


def details_of(run: Scored, row: pd.Series) -> list[dict[str, Any]]:
    """One entry per latent, of the SAE whose latents were measured one by one."""
    if run.datasets[LATENTS].attrs["sae"] != row["sae"]:
        return []
    table = run.latents.rename(columns={"latent": "index"}).sort_values("index")
    return [{str(name): one for name, one in row.items()} for row in table.to_dict("records")]


def metrics_of(run: Scored, row: pd.Series) -> dict[str, dict[str, float]]:
    """By category, as SAEBench's evaluation ``core`` has them, and ``steppe``."""
    fit = run.datasets["fit"].sel({SAE: row["sae"]})
    mean = {name: float(fit[name].values.mean()) for name in FIT}
    made, zero = Series("sae", row["site"], row["sae"]), Series("zero_ablation", row["site"])

    def added(variable: str, series: Series) -> float:
        return float(run.estimates(SUBSTITUTIONS, variable).means[_place(run, series), 0])

    clean = run.datasets[DIRECTIONS]["clean_loss"].values.mean()
    moved = run.datasets[SUBSTITUTIONS].sizes[SAMPLE]
    tokens = run.settings.prompt_length - 1
    return {
        "model_behavior_preservation": {
            "kl_div_score": row["kl_recovered"],
            "kl_div_with_ablation": added("kl", zero),
            "kl_div_with_sae": added("kl", made),
        },
        "model_performance_preservation": {
            "ce_loss_score": row["loss_recovered"],
            "ce_loss_with_ablation": clean + added("loss_increase", zero),
            "ce_loss_with_sae": clean + added("loss_increase", made),
            "ce_loss_without_sae": clean,
        },
        "reconstruction_quality": {
            "explained_variance": row["explained_variance"],
            "cossim": mean["cossim"],
        },
        "shrinkage": {
            "l2_norm_in": mean["l2_norm_in"],
            "l2_norm_out": mean["l2_norm_out"],
            "l2_ratio": mean["l2_ratio"],
            "relative_reconstruction_bias": mean["square"] / mean["product"],
        },
        "sparsity": {"l0": row["l0"], "l1": mean["l1"]},
        "token_stats": {
            "total_tokens_eval_reconstruction": moved * (tokens - 1),
            "total_tokens_eval_sparsity_variance": fit.sizes[SAMPLE] * tokens,
        },
        "steppe": {
            f"{name}{end}": row[f"{name}{end}"] for name in OWN for end in ("", "_low", "_high")
        },
    }


def _place(run: Scored, series: Series) -> int:
    return run.estimates(SUBSTITUTIONS).places[series.name]


def _plain(value: Any) -> Any:
    """Numbers of numpy as Python's own; what is undefined or infinite as null."""
    if isinstance(value, Mapping):
        return {str(key): _plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    if isinstance(value, np.generic):
        return _plain(value.item())
    return None if isinstance(value, float) and not np.isfinite(value) else value
