"""From points at a site to what comes out: only the model after the site is computed."""

from __future__ import annotations

from steppe.propagation.forward import read_activations as read_activations
from steppe.propagation.forward import read_residuals as read_residuals
from steppe.propagation.frozen_parts import frozen_parts as frozen_parts
from steppe.propagation.gradient import GradientSuffix as GradientSuffix
from steppe.propagation.outputs import Outputs as Outputs
from steppe.propagation.packing import weights_stay as weights_stay
from steppe.propagation.plan import memory_budget as memory_budget
from steppe.propagation.plan import prompts_together as prompts_together
from steppe.propagation.plan import set_memory_budget as set_memory_budget
from steppe.propagation.prefix import Prefix as Prefix
from steppe.propagation.prefix import build_prefix as build_prefix
from steppe.propagation.propagate import Batch as Batch
from steppe.propagation.propagate import propagate as propagate
from steppe.propagation.propagate import propagate_in_batches as propagate_in_batches
from steppe.propagation.self_check import SelfCheck as SelfCheck
from steppe.propagation.self_check import require_self_check as require_self_check
from steppe.propagation.self_check import self_check as self_check
from steppe.propagation.suffix import Suffix as Suffix
