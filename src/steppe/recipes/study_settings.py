"""What can be asked of any recipe: subject, SAE, prompts, samples, seed and number format."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator

from steppe.core.bundled import DEMO
from steppe.core.engines import Engine
from steppe.core.errors import InputError
from steppe.core.number_formats import Dtype
from steppe.core.sites import Site
from steppe.recipes.faults import as_fault

# The names under which the published studies' subject is known.
PAPER_SUBJECT_NAMES = ("gpt2", "openai-community/gpt2")
# The text that all of them took their prompts from.
PAPER_PROMPTS = "apollo-research/Skylion007-openwebtext-tokenizer-gpt2"


def for_subjects(demo: str, paper: str) -> dict[str, str]:
    """What belongs to a subject, by its name: one entry for the bundled one, one per name of GPT-2.

    Args:
        demo: For the bundled subject.
        paper: For the published studies' subject.
    """
    return {DEMO: demo} | dict.fromkeys(PAPER_SUBJECT_NAMES, paper)


class StudySettings(BaseModel):
    """Settings that every recipe has; a recipe adds its own.

    Every field is a key of the YAML file and an option of the command line, which shows its
    description. A default of None, or of no names, is explained after ``None:`` or ``empty:`` at
    the description's end; ``json_schema_extra`` may hold ``unit``, ``origin`` (where the default
    came from) and ``choices`` (the names that it takes).
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    # The SAE and the prompts that belong to a subject, by its name.
    SAES: ClassVar[Mapping[str, str]] = {}
    PROMPTS: ClassVar[Mapping[str, str]] = {}
    # What these resolve to is not known before the subject is loaded: for instance the best device.
    UNRESOLVED: ClassVar[frozenset[str]] = frozenset({"device"})

    recipe: str
    subject: str = Field(DEMO, description="'demo', a hub id, or a local model folder")
    sae: str | None = Field(
        None,
        description="'demo', a release such as gpt2-small-res-jb/blocks.1.hook_resid_pre, or an "
        "SAELens folder; None: the one that belongs to the subject",
    )
    prompts: str | None = Field(
        None,
        description="a .txt, .jsonl or .parquet file, or a tokenised data set (folder or hub id); "
        "None: those that belong to the subject",
    )
    samples: int = Field(1000, ge=2, description="base prompts")
    seed: int = Field(0, ge=0, description="seed of every named random stream")
    device: str = Field("auto", description="'auto', 'cpu', 'cuda', 'cuda:1' ...")
    dtype: Dtype = Field(
        "float32",
        description="number format of the blocks' matrices; the residual stream, normalisations "
        "and readouts stay float32",
    )
    tf32: bool = Field(False, description="multiply float32 matrices in TF32 on a GPU")
    engine: Engine = Field(
        "auto",
        description="how the subject is run on from a site. auto: the fastest that is exact. fast: "
        "packed matrices, attention over a shared prefix. general: the model's own operations. "
        "full: the whole model for every point, for models whose layers keep a running state",
    )
    coordinates: Literal["centered", "raw"] | None = Field(
        None,
        description="how vectors are read: centered (mean zero over d_model) or raw; None: "
        "centered for LayerNorm models, raw for others",
    )
    accept_sae: bool = Field(
        False,
        description="go on with an SAE of another model or hook, that never fires, or that "
        "explains less than half of the variance",
    )
    prompt_length: int = Field(10, ge=1, description="tokens per prompt")
    max_prompts: int = Field(40_000, ge=2, description="prompts taken from the source, at most")
    moments_samples: int = Field(
        32_000, ge=100, description="activations behind the mean, the covariance and own rates"
    )
    bootstrap: int = Field(2000, ge=100, le=1_000_000, description="resamples behind each interval")

    @field_validator("subject", "sae", "prompts")
    @classmethod
    @as_fault
    def _one_spelling_per_place(cls, value: str | None) -> str | None:
        return one_spelling(value)

    @field_validator("site", "read", check_fields=False)
    @classmethod
    @as_fault
    def _known_site(cls, value: str) -> str:
        return Site.parse(value).name

    @classmethod
    def of_run(cls, resolved: Mapping[str, Any]) -> Self:
        """The settings of a run, from the section ``resolved`` of its config."""
        known = {key: value for key, value in resolved.items() if key in cls.model_fields}
        return cls.model_validate(known)

    @property
    def is_paper_subject(self) -> bool:
        """Whether the subject has the name of the published studies'."""
        return self.subject in PAPER_SUBJECT_NAMES

    @property
    def sae_source(self) -> str:
        """The SAE asked for, or the one that belongs to the subject."""
        return self._source("sae", self.sae, self.SAES)

    @property
    def prompts_source(self) -> str:
        """The prompts asked for, or those that belong to the subject."""
        return self._source("prompts", self.prompts, self.PROMPTS)

    @property
    def variant(self) -> tuple[str, ...]:
        """What the name of the run folder says beside recipe and subject."""
        return ()

    def _source(self, option: str, asked: str | None, known: Mapping[str, str]) -> str:
        if asked is not None:
            return asked
        if self.subject in known:
            return known[self.subject]
        raise InputError(
            f"--{option}",
            got="nothing",
            expected=f"the {option} to use with the subject {self.subject!r}",
            fix=f"add --{option}; only these come with their own: {', '.join(known)}",
        )


def one_spelling(place: str | None) -> str | None:
    """A local path as one and the same text however it was typed, so that a run can be resumed.

    Args:
        place: A name, a path, or None.

    Raises:
        InputError: No name, and no path that can be.
    """
    if place is None or place == DEMO:
        return place
    try:
        path = Path(place).expanduser()
        return str(path.resolve()) if path.exists() else place
    except (OSError, RuntimeError, ValueError) as error:
        # Too long for a path, the home of nobody, or no text that a path can be.
        raise InputError(
            "path",
            got=place,
            expected="a name, or a path that can be",
            fix=f"{getattr(error, 'strerror', None) or error}",
        ) from error
