"""How far an output moved from the path's first point, as one number per point with a unit."""

from __future__ import annotations

from steppe.readouts.catalogue import CATALOGUE as CATALOGUE
from steppe.readouts.catalogue import Readout as Readout
from steppe.readouts.catalogue import find_readouts as find_readouts
from steppe.readouts.catalogue import read_sites as read_sites
from steppe.readouts.latents import latents_changed as latents_changed
from steppe.readouts.latents import latents_l1 as latents_l1
from steppe.readouts.measure import measure as measure
from steppe.readouts.measure import measure_path as measure_path
from steppe.readouts.measure import measure_paths as measure_paths
from steppe.readouts.measure import needs_logits as needs_logits
from steppe.readouts.relative import relative_distance as relative_distance
from steppe.readouts.tokens import CleanOutputs as CleanOutputs
from steppe.readouts.tokens import TokenCurves as TokenCurves
from steppe.readouts.tokens import clean_outputs as clean_outputs
from steppe.readouts.tokens import measure_tokens as measure_tokens
from steppe.readouts.tokens_of_interest import log_odds_of as log_odds_of
from steppe.readouts.tokens_of_interest import probability_of as probability_of
from steppe.readouts.tokens_of_interest import rank_of as rank_of
from steppe.readouts.tokens_of_interest import token_ids as token_ids
