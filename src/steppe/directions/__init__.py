"""Directions shared by all bases: from files, prompts, activations and gradients."""

from steppe.directions.contrastive import contrastive, probe
from steppe.directions.direction_set import DirectionSet, joined
from steppe.directions.files import from_file
from steppe.directions.given import register
from steppe.directions.jacobian import jacobian_top
from steppe.directions.melbo import Ascent, melbo, response
from steppe.directions.pairs import Pairs, read_pairs
from steppe.directions.pools import pca, random, random_difference, sae_top
from steppe.directions.resolve import expand

__all__ = [
    "Ascent",
    "DirectionSet",
    "Pairs",
    "contrastive",
    "expand",
    "from_file",
    "jacobian_top",
    "joined",
    "melbo",
    "pca",
    "probe",
    "random",
    "random_difference",
    "read_pairs",
    "register",
    "response",
    "sae_top",
]
