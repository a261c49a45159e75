"""`steppe reproduce` and `steppe run`: one command, made from the settings of the study."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer
from typer.core import TyperGroup

from steppe.cli.running import How, run_study
from steppe.core.errors import InputError
from steppe.core.lazy import load
from steppe.core.names import nearest
from steppe.settings.catalogue import STUDIES, find_study

if TYPE_CHECKING:
    from steppe.settings.explaining import Setting

AGAIN = (
    "Repeating the command on the same folder goes on where it stopped, after Ctrl-C, a kill or a "
    "full disk. More --samples extend a run. A run folder of another configuration is refused, and "
    "overwritten only with --overwrite."
)


class _Reproduce(TyperGroup):
    """One command per study, with the study's settings as options."""

    def list_commands(self, ctx: Any) -> list[str]:  # noqa: ARG002
        return list(STUDIES)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:  # noqa: ARG002
        return study_command(cmd_name, {"study": cmd_name}, "the command line")


class _Run(TyperGroup):
    """One command per YAML file, with the settings of the study that it names as options."""

    def list_commands(self, ctx: Any) -> list[str]:  # noqa: ARG002
        return []

    def get_command(self, ctx: Any, cmd_name: str) -> Any:  # noqa: ARG002
        asked = load("steppe.settings.configuration:read_config")(Path(cmd_name))
        return study_command(cmd_name, asked, f"config {cmd_name}")


reproduce = typer.Typer(
    cls=_Reproduce,
    no_args_is_help=True,
    subcommand_metavar="STUDY [SETTINGS]",
    short_help="Reproduce a published study on a model.",
    help=f"""Reproduce a published study: curves, statistics, tables and figures in one run folder.

{AGAIN}

[bold]steppe reproduce giglemiani2024[/bold] runs on the bundled model, in minutes, offline.

[bold]steppe reproduce giglemiani2024 --model gpt2[/bold] runs the paper itself.

[bold]steppe reproduce STUDY --help[/bold] shows every setting of a study as an option.""",
)
run = typer.Typer(
    cls=_Run,
    no_args_is_help=True,
    subcommand_metavar="FILE [SETTINGS]",
    short_help="Run a study described by a YAML file.",
    help=f"""Run a study described by a YAML file.

The file names a study and whichever of its settings differ from the published study. The `asked` \
part of a run folder's config.yaml is such a file. Settings given as options, as in `steppe \
reproduce STUDY --help`, rule over the file's.

{AGAIN}""",
)


def study_command(name: str, asked: Mapping[str, Any], place: str) -> Any:
    """A command that runs a study, with one option per setting.

    Args:
        name: Its name in messages.
        asked: Settings that hold unless an option says otherwise, with the key ``study``.
        place: Where these came from, for errors.

    Raises:
        InputError: There is no such study; the nearest name is suggested.
    """
    study = find_study(str(asked["study"]))
    settings: tuple[Setting, ...] = load("steppe.settings.explaining:explain")(study.name)
    known = {setting.name: setting for setting in settings}

    def command(ctx: typer.Context, **given: Any) -> None:
        _refuse_words(ctx.args, known)
        how = How(**{field: given.pop(field) for field in _HOW})
        chosen = {
            key: value_of(known[key], text) for key, text in given.items() if text is not None
        }
        run_study({**asked, **chosen}, place, how)

    context = inspect.Parameter("ctx", _KEYWORD, annotation=typer.Context)
    options = [_parameter(setting) for setting in sorted(settings, key=lambda s: not s.own)]
    # typer reads a command's options from its signature.
    command.__dict__["__signature__"] = inspect.Signature([context, *options, *_HOW.values()])
    app = typer.Typer(add_completion=False, rich_markup_mode="rich")
    texts = [study.question, study.paper.replace("[", r"\["), AGAIN]
    app.command(
        name,
        help="\n\n".join(texts),
        short_help=study.question,
        context_settings={"allow_extra_args": True},
    )(command)
    return typer.main.get_command(app)


_KEYWORD = inspect.Parameter.KEYWORD_ONLY
_HOW = {
    name: parameter.replace(kind=_KEYWORD)
    for name, parameter in inspect.signature(How, eval_str=True).parameters.items()
}


def _parameter(setting: Setting) -> inspect.Parameter:
    names = setting.option
    if setting.is_switch:
        names += f"/--no-{names.removeprefix('--')}"
    option = typer.Option(
        None,
        names,
        help=_help(setting),
        metavar=None if setting.is_switch else f"{'|'.join(setting.forms)}{',...' * setting.many}",
        show_default=False,
        rich_help_panel="Settings of this study" if setting.own else "Settings of every study",
    )
    kind = bool if setting.is_switch else list[str] if setting.many else str
    return inspect.Parameter(setting.name, _KEYWORD, default=option, annotation=kind | None)


def _help(setting: Setting) -> str:
    origin = f", {setting.origin}" if setting.origin else ""
    default = f"default: {setting.default}{origin}" if setting.default else ""
    notes = "; ".join(filter(None, [setting.unit, setting.limits, default]))
    # A bracket would be read as markup.
    return f"{setting.meaning} [{notes}]".replace("[", r"\[")


def value_of(setting: Setting, given: Any) -> Any:
    """What an option's text says; the settings' own class checks it."""
    if isinstance(given, list):
        if len(given) == 1 and given[0] in setting.forms and "NUMBER" in setting.forms:
            return given[0]
        parts = [part for text in given for part in _parts(text)]
        return [number_of(part) if "NUMBER" in setting.forms else part for part in parts]
    if "TEXT" in setting.forms or isinstance(given, bool):
        return given
    return number_of(given)


def _parts(text: str) -> list[str]:
    """Several values in one text are separated by commas, unless it is a path with commas."""
    return [text] if Path(text).exists() else [part.strip() for part in text.split(",")]


def number_of(text: str) -> Any:
    """The number that a text is, or the text."""
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text


def _refuse_words(words: Iterable[str], known: Mapping[str, Setting]) -> None:
    """Say how a setting is given to whoever wrote ``prompt_length=20``, or a second study."""
    for word in words:
        key = word.partition("=")[0].strip(" -").replace("-", "_")
        near = nearest(key, known)
        raise InputError(
            "the command line",
            got=repr(word),
            expected="settings as options, for instance --prompt-length 20",
            fix=f"perhaps {known[near].option} {word.partition('=')[2].strip() or 'VALUE'}"
            if near
            else "leave it out, or quote values that hold blanks",
        )
