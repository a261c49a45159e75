"""What can be asked of this recipe, and what the paper asked."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

from steppe.core.bundled import DEMO
from steppe.core.errors import InputError
from steppe.core.names import check_all
from steppe.core.number_formats import Dtype
from steppe.core.readings import Reading
from steppe.core.sites import Site
from steppe.recipes.faults import as_fault
from steppe.recipes.giglemiani2024.outputs import ALL_OUTPUTS, KINDS

PAPER_SUBJECT = "gpt2"
PAPER_SUBJECT_NAMES = (PAPER_SUBJECT, "openai-community/gpt2")
PAPER_SAE = "gpt2-small-res-jb/blocks.1.hook_resid_pre"
PAPER_PROMPTS = "apollo-research/Skylion007-openwebtext-tokenizer-gpt2"

SAES = {DEMO: DEMO} | dict.fromkeys(PAPER_SUBJECT_NAMES, PAPER_SAE)
PROMPTS = {DEMO: DEMO} | dict.fromkeys(PAPER_SUBJECT_NAMES, PAPER_PROMPTS)


class Settings(BaseModel):
    """The settings of one run; every field is a key of the YAML file and an option."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    recipe: Literal["giglemiani2024"] = "giglemiani2024"
    subject: str = Field("demo", description="'demo', a hub id, or a local model folder")
    sae: str | None = Field(None, description="'demo', a release, or an SAELens folder")
    prompts: str | None = Field(None, description="a text, jsonl or parquet file, or a data set")
    samples: int = Field(1000, ge=2, description="base prompts, each with one target per kind")
    reading: Reading = Field("code", description="what the authors ran, or what the paper says")
    seed: int = Field(0, ge=0, description="seed of every named random stream")
    device: str = Field("auto", description="'auto', 'cpu', 'cuda', 'cuda:1' ...")
    dtype: Dtype = Field("float32", description="number format of the subject's weights")
    coordinates: Literal["centered", "raw"] | None = Field(
        None, description="None: centered for LayerNorm models, raw for others"
    )
    site: str = Field("blocks.1.hook_resid_pre", description="where activations are moved")
    read: str = Field("blocks.last.hook_resid_post", description="where L2 and cosine are read")
    prompt_length: int = Field(10, ge=1, description="tokens per prompt")
    max_prompts: int = Field(40_000, ge=2, description="prompts taken from the source, at most")
    moments_samples: int = Field(
        32_000, ge=100, description="activations behind the mean, the covariance and own rates"
    )
    latent_samples: int = Field(2000, ge=2, description="activations behind Appendix E")
    step_size: float | None = Field(
        None, gt=0, description="length of an absolute step; None: the paper's 0.5, scaled"
    )
    threshold: float | None = Field(
        None, gt=0, description="plateau threshold on L2; None: the paper's 20, scaled"
    )
    kinds: tuple[str, ...] = Field(KINDS, description="kinds of target that are measured")
    only: tuple[str, ...] = Field(
        (), description="make only these tables and figures; empty: all of them"
    )
    bootstrap: int = Field(2000, ge=100, le=1_000_000, description="resamples behind each interval")

    @field_validator("kinds")
    @classmethod
    @as_fault
    def _known_kinds(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        check_all(value, KINDS, "kinds")
        if "real" not in value:
            raise InputError(
                "kinds",
                got=", ".join(value),
                expected="'real' among them: every comparison is made against it",
                fix="add 'real'",
            )
        return tuple(kind for kind in KINDS if kind in value)

    @field_validator("only")
    @classmethod
    @as_fault
    def _known_outputs(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        check_all(value, ALL_OUTPUTS, "only")
        return tuple(name for name in ALL_OUTPUTS if name in value)

    @field_validator("subject", "sae", "prompts")
    @classmethod
    @as_fault
    def _one_spelling_per_place(cls, value: str | None) -> str | None:
        """A local path is the same path however it was typed, so that a run can be resumed."""
        if value is None or value == DEMO:
            return value
        try:
            path = Path(value).expanduser()
            return str(path.resolve()) if path.exists() else value
        except (OSError, RuntimeError, ValueError) as error:
            # Too long for a path, the home of nobody, or no text that a path can be.
            raise InputError(
                "path",
                got=value,
                expected="a name, or a path that can be",
                fix=f"{getattr(error, 'strerror', None) or error}",
            ) from error

    @field_validator("site", "read")
    @classmethod
    @as_fault
    def _known_site(cls, value: str) -> str:
        return Site.parse(value).name

    @property
    def sae_source(self) -> str:
        """The SAE asked for, or the one that belongs to the subject."""
        return self._source("sae", self.sae, SAES)

    @property
    def prompts_source(self) -> str:
        """The prompts asked for, or those that belong to the subject."""
        return self._source("prompts", self.prompts, PROMPTS)

    @property
    def names_paper_subject(self) -> bool:
        """Whether subject, SAE and sites have the names of the published study's."""
        return (
            self.subject in PAPER_SUBJECT_NAMES
            and self.sae_source == PAPER_SAE
            and self.site == "blocks.1.hook_resid_pre"
            and self.read in {"blocks.11.hook_resid_post", "blocks.last.hook_resid_post"}
            and self.coordinates in {None, "centered"}
            and self.prompt_length == 10
        )

    def _source(self, option: str, asked: str | None, known: dict[str, str]) -> str:
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
