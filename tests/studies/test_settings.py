"""Settings of studies are read for help and checks, before anything heavy is loaded."""

from __future__ import annotations

import subprocess
import sys

import pytest


@pytest.mark.parametrize(
    "study",
    [
        "compositions",
        "ferreira2026",
        "giglemiani2024",
        "heimersheim2024",
        "janiak2024",
        "lee2024",
        "sae_scores",
        "shinkle2025",
    ],
)
def test_settings_load_neither_torch_nor_tables(study: str) -> None:
    code = f"import sys, steppe.studies.{study}.settings; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not {"torch", "transformers", "xarray", "pandas"} & {*done.stdout.split()}
