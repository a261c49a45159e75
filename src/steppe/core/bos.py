"""How prompts can be asked to begin with the beginning-of-sequence token, and why they do."""

from __future__ import annotations

from typing import Literal

BosChoice = Literal["auto", "yes", "no"]
# Why BOS is put in front of prompts, in words; whether it is, is what decides.
BOS_REASON = "bos_reason"
