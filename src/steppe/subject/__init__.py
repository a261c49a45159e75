"""The model under study, its coordinates, and the prompts it reads."""

from __future__ import annotations

from steppe.subject.anatomy import Anatomy as Anatomy
from steppe.subject.anatomy import find_anatomy as find_anatomy
from steppe.subject.bos import Bos as Bos
from steppe.subject.bos import choose_bos as choose_bos
from steppe.subject.coordinates import Coordinates as Coordinates
from steppe.subject.devices import device_facts as device_facts
from steppe.subject.model import Identity as Identity
from steppe.subject.model import Subject as Subject
from steppe.subject.model import load_subject as load_subject
from steppe.subject.prompts import MAX_BAD_ROWS as MAX_BAD_ROWS
from steppe.subject.prompts import Prompts as Prompts
from steppe.subject.prompts import load_prompts as load_prompts
from steppe.subject.random_weights import with_random_weights as with_random_weights
