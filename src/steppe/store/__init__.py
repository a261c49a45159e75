"""A run folder on disk: started once, written shard by shard, resumed, and opened anywhere."""

from steppe.store.layout import CURVES, LATENTS, PLATEAUS
from steppe.store.load import Run, open_run
from steppe.store.record import RunFolder
from steppe.store.template import Template, Variable

__all__ = ["CURVES", "LATENTS", "PLATEAUS", "Run", "RunFolder", "Template", "Variable", "open_run"]
