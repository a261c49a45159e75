"""What is wrong with a study's sources and sites, as far as it shows before any weight is read."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from steppe.core.bundled import DEMO
from steppe.core.errors import InputError
from steppe.core.fetched import MODELS
from steppe.core.sites import Site, require_stream
from steppe.models.gguf import is_gguf
from steppe.models.loading import is_local
from steppe.models.stated import stated_config
from steppe.models.text_files import format_of
from steppe.sae.config import CFG_FILE
from steppe.sae.loading import find_config
from steppe.settings.papers_model import has_papers_shape
from steppe.settings.study_settings import StudySettings


@dataclass(frozen=True)
class Stated:
    """What a model's config.json says; None where it says nothing.

    Attributes:
        n_layers: Number of blocks.
        d_model: Width of the residual stream.
        context_length: Longest prompt in tokens.
        has_papers_shape: Whether it can be the published studies' model.
    """

    n_layers: int | None
    d_model: int | None
    context_length: int | None
    has_papers_shape: bool


def check_before_weights(settings: StudySettings) -> None:
    """Refuse what cannot be measured, before anything that takes long is read.

    Raises:
        InputError: The model, an SAE or the prompts do not exist or were not named, a site or a
            length lies outside of the model, or an SAE belongs to another width or layer.
    """
    _refuse_revision_of_a_folder(settings)
    stated = read_stated(settings.model, settings.revision)
    if settings.lacking and stated.has_papers_shape and _weights_decide(settings):
        # Which weights these are decides whether the paper's sources are meant.
        return
    settings.refuse_lacking()
    site = None if settings.accept_sae else settings.sae_site
    saes = [one for source in settings.sae_sources for one in saes_in(source)]
    _refuse_all(
        [
            partial(_check_site, "site", getattr(settings, "site", None), stated),
            partial(_check_site, "read", getattr(settings, "read", None), stated),
            partial(_check_length, settings.prompt_length, stated),
            partial(_check_path, "prompts", settings.prompts_source),
            *(partial(_check_sae, one, stated, site) for one in saes),
        ]
    )


def _refuse_all(checks: Iterable[Callable[[], None]]) -> None:
    """Run every check, and tell all that is wrong at once."""
    faults: list[InputError] = []
    for check in checks:
        try:
            check()
        except InputError as fault:
            faults.append(fault)
    if len(faults) == 1:
        raise faults[0]
    if faults:
        raise InputError(
            f"{len(faults)} settings",
            got="; ".join(f"{fault.place}: {fault.got}" for fault in faults),
            expected="; ".join(fault.expected for fault in faults),
            fix="; ".join(dict.fromkeys(fault.fix for fault in faults)),
        )


def may_be_papers(settings: StudySettings) -> bool:
    """Whether only the weights can say that a study with an SAE of its paper's is on its model.

    Raises:
        InputError: There is no such model.
    """
    is_open = _weights_decide(settings) and hasattr(type(settings), "SAE_OF_PAPER")
    return is_open and read_stated(settings.model, settings.revision).has_papers_shape


def _weights_decide(settings: StudySettings) -> bool:
    """Whether it hangs on the model's weights if the paper's settings are used."""
    return settings.paper_settings is None and not settings.random_weights


def read_stated(model: str, revision: str | None) -> Stated:
    """Read a model's config.json.

    Raises:
        InputError: There is no such model.
    """
    whole = stated_config(model, revision)
    if whole is None:
        return Stated(None, None, None, False)
    config = whole.get_text_config(decoder=True)
    return Stated(
        n_layers=_whole_number(config, "num_hidden_layers"),
        d_model=_whole_number(config, "hidden_size"),
        context_length=_whole_number(config, "max_position_embeddings"),
        has_papers_shape=has_papers_shape(whole.to_dict()),
    )


def saes_in(source: str) -> list[str]:
    """The SAEs that a source stands for: itself, or the folders in a folder of SAEs."""
    folder = Path(source).expanduser()
    if folder.is_dir() and not (folder / CFG_FILE).exists():
        return sorted(str(path.parent) for path in folder.glob(f"*/{CFG_FILE}")) or [source]
    return [source]


def _whole_number(config: Any, name: str) -> int | None:
    value = getattr(config, name, None)
    return value if isinstance(value, int) and value > 0 else None


def _refuse_revision_of_a_folder(settings: StudySettings) -> None:
    model = settings.model
    has_one = model in (DEMO, *MODELS) or is_gguf(model) or is_local(model)
    if settings.revision is not None and has_one:
        raise InputError(
            "--revision",
            got=f"{settings.revision!r}, for {settings.model}",
            expected="a model of the hub: a folder holds one revision",
            fix="leave --revision out, or give the model's hub id",
        )


def _check_site(field: str, text: str | None, stated: Stated) -> None:
    if text is None:
        return
    try:
        site = Site.parse(text)
    except InputError:
        # A word of the study's own, which it resolves itself.
        return
    if field == "site":
        require_stream(site)
    if stated.n_layers is not None:
        site.resolve(stated.n_layers)


def _check_length(length: int, stated: Stated) -> None:
    if stated.context_length is not None and length > stated.context_length:
        raise InputError(
            "--prompt-length",
            got=str(length),
            expected=f"1 to {stated.context_length}, the context length of the model",
            fix="choose how many tokens a prompt has",
        )


def _check_path(option: str, source: str) -> None:
    means_path = source.startswith((".", "/", "~")) or format_of(Path(source)) is not None
    if source != DEMO and means_path and not Path(source).expanduser().exists():
        raise InputError(
            f"{option} {source}",
            got="no such file or folder",
            expected="a file, a folder, or a hub id",
            fix="check the path (relative paths start at the current folder)",
        )


def _check_sae(source: str, stated: Stated, site: str | None) -> None:
    config = find_config(source)
    if config is None:
        return
    if stated.d_model is not None and config.d_in != stated.d_model:
        raise InputError(
            f"SAE {source}",
            got=f"d_in = {config.d_in}",
            expected=f"d_model = {stated.d_model}, the width of the model",
            fix="choose an SAE that was trained on this model",
        )
    if config.hook_name is None or stated.n_layers is None:
        return
    place = config.site.place(stated.n_layers)
    if site is not None and place != Site.parse(site).place(stated.n_layers):
        raise InputError(
            f"SAE {source}",
            got=f"an SAE of {config.hook_name}",
            expected=f"an SAE of {site}, where activations are moved",
            fix=f"choose another --sae, move at {config.site.name} (--site), or --accept-sae",
        )
