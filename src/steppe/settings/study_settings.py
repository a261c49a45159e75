"""What can be asked of any study: model, SAE, prompts, samples, seed and number format."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator

from steppe.core.bos import BosChoice
from steppe.core.bundled import DEMO, is_demo_sae_site
from steppe.core.engines import Engine
from steppe.core.errors import InputError
from steppe.core.lazy import load
from steppe.core.number_formats import Dtype
from steppe.core.sites import Site
from steppe.settings.faults import as_fault
from steppe.settings.papers_model import NAMES, is_papers_model
from steppe.settings.spelling import one_spelling

# The text that all of them took their prompts from.
PAPER_PROMPTS = "apollo-research/Skylion007-openwebtext-tokenizer-gpt2"
ADAPTIVE = "adaptive"


class StudySettings(BaseModel):
    """Settings that every study has; a study adds its own.

    Every field is a key of the YAML file and an option of the command line, which shows its
    description. A default of None, or of no names, is explained after ``None:`` or ``empty:`` at
    the description's end; ``json_schema_extra`` may hold ``unit``, ``origin`` (where the default
    came from) and ``choices`` (the names that it takes).
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    # The SAE and the prompts of the published study; the bundled model brings its own.
    SAE_OF_PAPER: ClassVar[str]
    PROMPTS_OF_PAPER: ClassVar[str] = PAPER_PROMPTS
    # Whether `bos: auto` means BOS wherever the model has one.
    BOS_WHERE_THERE_IS_ONE: ClassVar[bool] = False
    # What these resolve to is not known before the model is loaded: for instance the best device.
    UNRESOLVED: ClassVar[frozenset[str]] = frozenset({"device"})

    study: str
    model: str = Field(
        DEMO, description="'demo', a model of `steppe fetch`, a hub id, a folder or .gguf file"
    )
    revision: str | None = Field(
        None, description="branch, tag or commit of the model on the hub; None: the newest"
    )
    random_weights: bool = Field(
        False,
        description="draw the model's weights anew from the seed, as an untrained control, "
        "without an SAE unless one is named",
    )
    paper_settings: bool | None = Field(
        None,
        description="use the published study's own constants, sizes and SAE, and compare with its "
        "numbers; None: where the model's weights are the paper's",
    )
    sae: str | None = Field(
        None,
        description="'demo', a release such as gpt2-small-res-jb/blocks.1.hook_resid_pre, or a "
        "folder or file of any public format (docs/saes.md); None: the one that belongs to the "
        "model",
    )
    prompts: str | None = Field(
        None,
        description="a .txt, .md, .jsonl, .json, .csv or .parquet file (also .gz, .zst or .xz), "
        "a folder of them, or a data set (folder or hub id); None: "
        "those that belong to the model",
    )
    prompts_revision: str | None = Field(
        None, description="branch, tag or commit of a data set of the hub; None: the newest"
    )
    column: str | None = Field(
        None,
        description="column that holds the text or the token ids; None: input_ids, text or tokens",
    )
    max_bad_rows: float = Field(
        0.01, ge=0, lt=1, description="share of rows that cannot be used and are skipped, at most"
    )
    strict: bool = Field(False, description="refuse prompts with any row that cannot be used")
    bos: BosChoice = Field(
        "auto",
        description="put the beginning-of-sequence token before prompts that lack it: yes, no, or "
        "auto: where the SAE was trained with it; where that is not known, as the tokenizer does",
    )
    samples: int = Field(1000, ge=2, description="base prompts")
    seed: int = Field(0, ge=0, description="seed of every named random stream")
    device: str = Field("auto", description="'auto', 'cpu', 'cuda', 'cuda:1' ...")
    dtype: Dtype = Field(
        "float32",
        description="number format of the blocks' matrices; the residual stream, normalisations "
        "and metrics stay float32, unless device_map shares the model out: then all is in it",
    )
    device_map: Literal["auto", "balanced", "sequential"] | None = Field(
        None,
        description="share a model that is too large for one device out over all of them, the "
        "memory beside them and the disk, as accelerate does; in half precision it is wholly in "
        "that format then; None: one device",
    )
    sae_device: str | None = Field(
        None, description="where SAEs are: 'cpu', 'cuda:1' ...; None: the model's device"
    )
    tf32: bool = Field(False, description="multiply float32 matrices in TF32 on a GPU")
    dtype_strict: bool = Field(
        False,
        description="stop where a processor multiplies half precision more slowly than float32, "
        "in which it is computed otherwise",
    )
    engine: Engine = Field(
        "auto",
        description="how the model is run on from a site. auto: the fastest that is exact. fast: "
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
    prompt_length: int = Field(10, ge=1, description="tokens per prompt, BOS included")
    max_prompts: int = Field(
        40_000,
        ge=2,
        description="prompts taken from the source, its first, at most; bases are drawn from them",
        validate_default=True,
    )
    moments_samples: int = Field(
        32_000, ge=100, description="activations behind the mean, the covariance and own rates"
    )
    ordinary_moments: bool = Field(
        False,
        description="leave activations of over five median norms out of mean and covariance",
    )

    @field_validator("model", "sae", "prompts")
    @classmethod
    @as_fault
    def _one_spelling_per_place(cls, value: str | None) -> str | None:
        return one_spelling(value)

    @field_validator("max_prompts")
    @classmethod
    @as_fault
    def _no_fewer_than_samples(cls, value: int, info: ValidationInfo) -> int:
        samples = info.data.get("samples", value)
        if value < samples:
            raise InputError(
                "max_prompts",
                got=str(value),
                expected=f"at least {samples}, the samples: each has a prompt of its own",
                fix=f"set max_prompts to {samples} or more; it decides which prompts are drawn, so "
                "a run that is to be extended keeps the one it began with",
            )
        return value

    @field_validator("site", "read", check_fields=False)
    @classmethod
    @as_fault
    def _known_site(cls, value: str) -> str:
        return Site.parse(value).name

    @classmethod
    def of_run(cls, resolved: Mapping[str, Any]) -> Self:
        """The settings of a run, from the section ``resolved`` of its config.

        Names in them were known to the process that measured; a validator whose ``info.context`` is
        set does not ask for them.
        """
        known = {key: value for key, value in resolved.items() if key in cls.model_fields}
        return cls.model_validate(known, context=resolved)

    @property
    def is_paper(self) -> bool:
        """Whether the published study's own settings are used.

        As was asked, else as the model's weights say (`decided`); before these are known, as its
        name on the hub promises.
        """
        promised = self.model in NAMES and not self.random_weights
        return promised if self.paper_settings is None else self.paper_settings

    def decided(self, identity: Mapping[str, Any]) -> Self:
        """These settings once it is known which weights the model has.

        Args:
            identity: The model's, as plain data.
        """
        if self.paper_settings is not None:
            return self
        asked = self.model_dump(include=self.model_fields_set)
        return self.model_validate({**asked, "paper_settings": is_papers_model(identity)})

    @property
    def hang_on_weights(self) -> set[str]:
        """Fields that only the model's weights decide, as nothing was asked."""
        return {"paper_settings"} if self.paper_settings is None else set()

    @property
    def sae_source(self) -> str:
        """The SAE asked for, or the one that belongs to the model."""
        # A study of one's own names none.
        return self._source("sae", getattr(type(self), "SAE_OF_PAPER", ""))

    @property
    def sae_sources(self) -> tuple[str, ...]:
        """Every SAE that is asked for."""
        return () if self.sae is None else (self.sae,)

    @property
    def has_sae(self) -> bool:
        """Whether an SAE was asked for, or comes with the model."""
        papers = self.is_paper and hasattr(type(self), "SAE_OF_PAPER")
        return self.sae is not None or self.brings_saes or papers

    @property
    def brings_saes(self) -> bool:
        """Whether the model brings SAEs of the site: the bundled one, as it was trained."""
        here = self.sae_site is None or is_demo_sae_site(self.sae_site)
        return self.model == DEMO and not self.random_weights and here

    @property
    def sae_site(self) -> str | None:
        """Where the SAEs belong; None where each is used at its own site."""
        return getattr(self, "site", None)

    @property
    def prompts_source(self) -> str:
        """The prompts asked for, or those that belong to the model."""
        return self._source("prompts", self.PROMPTS_OF_PAPER)

    @property
    def lacking(self) -> tuple[str, ...]:
        """Which sources were not asked for, though the model brings none of its own."""
        has_own = self.model == DEMO or self.is_paper or self.prompts is not None
        return () if has_own else ("prompts",)

    @property
    def variant(self) -> tuple[str, ...]:
        """What the name of the run folder says beside study and model."""
        return ()

    def refuse_lacking(self) -> None:
        """Say which sources are to be given, all of them at once.

        Raises:
            InputError: There are some.
        """
        if not self.lacking:
            return
        options = " and ".join(f"--{name}" for name in self.lacking)
        raise InputError(
            options,
            got="nothing",
            expected=f"the {' and the '.join(self.lacking)} to use with {self.model!r}",
            fix=f"add {options}; only {DEMO!r} and the paper's model come with their own (if this "
            "is GPT-2 small: --paper-settings)",
        )

    def _source(self, option: str, of_the_paper: str) -> str:
        asked: str | None = getattr(self, option)
        if asked is not None:
            return asked
        self.refuse_lacking()
        return DEMO if self.model == DEMO else of_the_paper


class SiteSettings(StudySettings):
    """Settings of a study that moves activations at a site; parts that need an SAE may be missing.

    Where each SAE is used at a site of its own (`sae_site` is None), ``sae_sources`` names them.
    """

    UNRESOLVED: ClassVar[frozenset[str]] = frozenset({"device", "site", "sae", "prompts"})
    # Whether the pool holds the activations of all positions but each prompt's first, instead of
    # those of the position that is moved.
    POOL_OF_ALL_POSITIONS: ClassVar[bool] = False

    site: str = Field("blocks.0.hook_resid_post", description="where activations are moved")

    def site_in(self, n_layers: int) -> Site:
        """The site in a model of that many blocks."""
        return Site.parse(self.site).resolve(n_layers)


class ResamplingSettings(StudySettings):
    """Settings of a study some of whose intervals are made by a bootstrap."""

    bootstrap: int = Field(
        2000, ge=100, le=1_000_000, description="resamples behind intervals that are bootstrapped"
    )


class PointSettings(StudySettings):
    """Settings of a study that can compute some points of its curves instead of all."""

    points: Literal["full", "adaptive"] = Field(
        "full",
        description="which points of a curve are computed. full: all. adaptive: those that the "
        "study's statistics rest on, with a spline between them; a run says how far that agrees "
        "with all points on 2% of its curves",
    )

    @field_validator("points")
    @classmethod
    @as_fault
    def _whole_paths_in_half_precision(cls, value: str, info: ValidationInfo) -> str:
        dtype = info.data.get("dtype", "float32")
        if value == ADAPTIVE and dtype not in {"float32", "float64"}:
            raise InputError(
                "points",
                got=f"adaptive in {dtype}",
                expected="float32 or float64: in half precision the steps between neighbouring "
                "points are multiplied, so that all of them are needed",
                fix="leave out --points, or --dtype",
            )
        return value


class PageSettings(StudySettings):
    """Settings of a study that keeps what the model would say along its paths."""

    next_tokens: int = Field(
        64,
        ge=0,
        description="samples whose likeliest next tokens along the paths are kept for the run's "
        "page, where logits are read; 0: none",
    )


class DirectionSettings(StudySettings):
    """Settings of a study of directions, which measures more of them beside its own."""

    directions: tuple[str, ...] = Field(
        (),
        description="further kinds of direction, of your own and fixed ones (pca:1-3, "
        "contrastive:formality, file:steer.npz#name, each also with _against); empty: none",
    )

    @field_validator("directions")
    @classmethod
    @as_fault
    def _known_directions(cls, value: tuple[str, ...], info: ValidationInfo) -> tuple[str, ...]:
        if not value or info.context:
            return value
        # Sets of fixed directions are written out.
        value = load("steppe.directions:expand")(value)
        registry = load("steppe.paths:DIRECTIONS")
        for name in value:
            registry.find(name)
        return value

    @property
    def direction_needs(self) -> frozenset[str]:
        """What they cannot be made without."""
        if not self.directions:
            return frozenset()
        find = load("steppe.paths:DIRECTIONS").find
        return frozenset().union(*(find(name).needs for name in self.directions))


class BaseSettings(SiteSettings, ResamplingSettings):
    """Model, prompts, samples, seed and so on; what needs an SAE is left out where there is none.

    A study's own settings are a class of this, with the field ``study: Literal["its name"]`` and
    one field a setting; each is a key of the YAML file and an option of the command line.
    """

    UNRESOLVED: ClassVar[frozenset[str]] = SiteSettings.UNRESOLVED | {"read"}

    read: str = Field(
        "blocks.last.hook_resid_post", description="where metrics of the residual stream look"
    )
