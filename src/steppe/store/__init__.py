"""A run folder on disk: started once, written shard by shard, resumed, and opened anywhere."""

from steppe.store.folder import RunFolder
from steppe.store.layout import CURVES, FIGURES, LATENTS, PLATEAUS, SUMMARY, TABLES
from steppe.store.load import Run, open_run
from steppe.store.opening import Opening
from steppe.store.template import Template, Variable

__all__ = [
    "CURVES",
    "FIGURES",
    "LATENTS",
    "PLATEAUS",
    "SUMMARY",
    "TABLES",
    "Opening",
    "Run",
    "RunFolder",
    "Template",
    "Variable",
    "open_run",
]
