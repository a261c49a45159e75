"""The studies that can be run: the built-in ones, those registered, those of installed packages.

Loads nothing heavy: what belongs to a built-in study is an address until it is used.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from steppe.core.errors import InputError
from steppe.core.lazy import load
from steppe.core.registry import Registry

if TYPE_CHECKING:
    from steppe.recipes.study import Study
    from steppe.recipes.study_settings import StudySettings
    from steppe.store import Opening


@dataclass(frozen=True)
class Recipe:
    """One study that can be run.

    Attributes:
        name: As typed on the command line.
        paper: What it reproduces; empty for a study of your own.
        question: What it asks, in one line.
        settings: Its settings class, or the address of it.
        study: What turns settings and an `Opening` into a runnable study, or the address of it.
        report: What writes a finished run's report anew, or the address of it.
        takes_objects: Whether a model, an SAE and prompts can be given as objects.
    """

    name: str
    paper: str
    question: str
    settings: str | type[StudySettings]
    study: str | Callable[..., Study]
    report: str | Callable[[Path], None]
    takes_objects: bool = False

    def settings_class(self) -> type[StudySettings]:
        """The class of its settings."""
        found: type[StudySettings] = _loaded(self.settings)
        return found

    def open(self, settings: StudySettings, opening: Opening, given: Any = None) -> Study:
        """Prepare the study and start, or continue, its run folder.

        Args:
            settings: What was asked.
            opening: What this process wants of the folder.
            given: Objects that stand in for what the settings name (`steppe.study.Given`).

        Raises:
            InputError: There are such objects, and this study takes names and paths alone.
        """
        objects = [] if given is None else given.named()
        if objects and not self.takes_objects:
            raise InputError(
                f"study {self.name}",
                got=f"an object for {', '.join(objects)}",
                expected="a name or a path",
                fix="save it to a folder, and give the folder",
            )
        arguments = (settings, opening, given) if self.takes_objects else (settings, opening)
        study: Study = _loaded(self.study)(*arguments)
        return study

    def is_of(self, study: Any) -> bool:
        """Whether it is the built-in study that is given as an object."""
        return isinstance(self.study, str) and self.settings_class() is study.settings

    def write_report(self, path: Path) -> None:
        """Write the tables, figures and summary of a finished run anew."""
        _loaded(self.report)(path)


def _loaded(value: Any) -> Any:
    return load(value) if isinstance(value, str) else value


RECIPES: Registry[Recipe] = Registry(
    "recipe",
    "studies",
    [
        Recipe(
            name="giglemiani2024",
            paper="Evaluating Synthetic Activations composed of SAE Latents in GPT-2 "
            "(Giglemiani, Petrova, Mangat, Janiak & Heimersheim, 2024; arXiv 2409.15019)",
            question="Do activations composed of SAE latents behave like the model's own?",
            settings="steppe.studies.giglemiani2024.settings:Settings",
            study="steppe.studies.giglemiani2024.study:open_study",
            report="steppe.studies.giglemiani2024.study:write_report",
            takes_objects=True,
        ),
        Recipe(
            name="heimersheim2024",
            paper="[Interim research report] Activation plateaus & sensitive directions in GPT2 "
            "(Heimersheim & Mendel, 2024)",
            question="Do real activations lie on plateaus, and which directions lead off soonest?",
            settings="steppe.studies.heimersheim2024.settings:Settings",
            study="steppe.studies.heimersheim2024.study:open_study",
            report="steppe.studies.heimersheim2024.study:write_report",
            takes_objects=True,
        ),
        Recipe(
            name="lee2024",
            paper="Investigating Sensitive Directions in GPT-2: An Improved Baseline and "
            "Comparative Analysis of SAEs (Lee & Heimersheim, 2024; arXiv 2410.12555)",
            question="Are SAE errors and SAE features more influential than random directions?",
            settings="steppe.studies.lee2024.settings:Settings",
            study="steppe.studies.lee2024.study:open_study",
            report="steppe.studies.lee2024.study:write_report",
            takes_objects=True,
        ),
        Recipe(
            name="janiak2024",
            paper="Characterizing stable regions in the residual stream of LLMs "
            "(Janiak et al., 2024; arXiv 2409.17113)",
            question="Do outputs change in sharp steps between two real activations?",
            settings="steppe.studies.janiak2024:Settings",
            study="steppe.studies.janiak2024:open_study",
            report="steppe.studies.janiak2024:write_report",
            takes_objects=True,
        ),
    ],
)


def find_recipe(name: str) -> Recipe:
    """Return the recipe of that name.

    Raises:
        InputError: There is none; the nearest name is suggested.
    """
    return RECIPES.find(name)
