"""How far an output moved from the path's first point, as one number per point with a unit."""

from __future__ import annotations

from steppe.metrics.catalogue import CATALOGUE as CATALOGUE
from steppe.metrics.catalogue import Metric as Metric
from steppe.metrics.catalogue import find_metrics as find_metrics
from steppe.metrics.catalogue import read_sites as read_sites
from steppe.metrics.jacobian_norm import jacobian_norm as jacobian_norm
from steppe.metrics.latents import latents_changed as latents_changed
from steppe.metrics.latents import latents_l1 as latents_l1
from steppe.metrics.measure import measure as measure
from steppe.metrics.measure import measure_path as measure_path
from steppe.metrics.measure import measure_paths as measure_paths
from steppe.metrics.measure import needs_logits as needs_logits
from steppe.metrics.relative import relative_distance as relative_distance
from steppe.metrics.tokens import CleanOutputs as CleanOutputs
from steppe.metrics.tokens import TokenCurves as TokenCurves
from steppe.metrics.tokens import clean_outputs as clean_outputs
from steppe.metrics.tokens import measure_tokens as measure_tokens
from steppe.metrics.tokens_of_interest import log_odds_of as log_odds_of
from steppe.metrics.tokens_of_interest import probability_of as probability_of
from steppe.metrics.tokens_of_interest import rank_of as rank_of
from steppe.metrics.tokens_of_interest import token_ids as token_ids
