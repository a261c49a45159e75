"""The model under study, its coordinates, and the prompts it reads."""

from __future__ import annotations

from steppe.models.anatomy import Anatomy as Anatomy
from steppe.models.anatomy import find_anatomy as find_anatomy
from steppe.models.bos import Bos as Bos
from steppe.models.bos import choose_bos as choose_bos
from steppe.models.coordinates import Coordinates as Coordinates
from steppe.models.devices import device_facts as device_facts
from steppe.models.model import Identity as Identity
from steppe.models.model import Model as Model
from steppe.models.model import load_model as load_model
from steppe.models.prompts import MAX_BAD_ROWS as MAX_BAD_ROWS
from steppe.models.prompts import Prompts as Prompts
from steppe.models.prompts import load_prompts as load_prompts
from steppe.models.random_weights import with_random_weights as with_random_weights
