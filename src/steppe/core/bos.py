"""How prompts can be asked to begin with the beginning-of-sequence token."""

from __future__ import annotations

from typing import Literal

BosChoice = Literal["auto", "yes", "no"]
