"""The studies that can be run: the built-in ones, those registered, those of installed packages.

Loads nothing heavy: what belongs to a built-in study is an address until it is used.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from steppe.core.lazy import load
from steppe.core.registry import Registry

if TYPE_CHECKING:
    from steppe.settings.study_settings import StudySettings
    from steppe.store import Opening


@dataclass(frozen=True)
class StudyEntry:
    """One study that can be run.

    Attributes:
        name: As typed on the command line.
        paper: What it reproduces; empty for a study of your own.
        question: What it asks, in one line.
        settings: Its settings class, or the address of it.
        study: The study (`steppe.study.Study`), or the address of it.
    """

    name: str
    paper: str
    question: str
    settings: str | type[StudySettings]
    study: Any

    def settings_class(self) -> type[StudySettings]:
        """The class of its settings."""
        found: type[StudySettings] = _loaded(self.settings)
        return found

    def open(
        self, settings: StudySettings, opening: Opening, given: Any = None, context: Any = None
    ) -> Any:
        """Prepare the study and start, or continue, its run folder: `steppe.study.open_study`."""
        return load("steppe.study.running:open_study")(
            _loaded(self.study), settings, opening, given, context
        )

    def estimate(self, settings: StudySettings, *, timed: bool = False) -> Any:
        """What a run would measure and take: `steppe.study.estimate`."""
        return load("steppe.study.estimate:estimate")(_loaded(self.study), settings, timed=timed)

    def is_of(self, study: Any) -> bool:
        """Whether it is the built-in study that is given as an object."""
        return isinstance(self.study, str) and self.settings_class() is study.settings

    def write_report(self, path: Path) -> None:
        """Write the tables, figures and summary of a finished run anew."""
        load("steppe.study.report:report")(_loaded(self.study), path)


def _loaded(value: Any) -> Any:
    return load(value) if isinstance(value, str) else value


STUDIES: Registry[StudyEntry] = Registry(
    "study",
    "studies",
    [
        StudyEntry(
            name="giglemiani2024",
            paper="Evaluating Synthetic Activations composed of SAE Latents in GPT-2 "
            "(Giglemiani, Petrova, Mangat, Janiak & Heimersheim, 2024; arXiv 2409.15019)",
            question="Do activations composed of SAE latents behave like the model's own?",
            settings="steppe.studies.giglemiani2024.settings:Settings",
            study="steppe.studies.giglemiani2024.study:STUDY",
        ),
        StudyEntry(
            name="heimersheim2024",
            paper="[Interim research report] Activation plateaus & sensitive directions in GPT2 "
            "(Heimersheim & Mendel, 2024)",
            question="Do real activations lie on plateaus, and which directions lead off soonest?",
            settings="steppe.studies.heimersheim2024.settings:Settings",
            study="steppe.studies.heimersheim2024.study:STUDY",
        ),
        StudyEntry(
            name="lee2024",
            paper="Investigating Sensitive Directions in GPT-2: An Improved Baseline and "
            "Comparative Analysis of SAEs (Lee & Heimersheim, 2024; arXiv 2410.12555)",
            question="Are SAE errors and SAE features more influential than random directions?",
            settings="steppe.studies.lee2024.settings:Settings",
            study="steppe.studies.lee2024.study:STUDY",
        ),
        StudyEntry(
            name="janiak2024",
            paper="Characterizing stable regions in the residual stream of LLMs "
            "(Janiak et al., 2024; arXiv 2409.17113)",
            question="Do outputs change in sharp steps between two real activations?",
            settings="steppe.studies.janiak2024.settings:Settings",
            study="steppe.studies.janiak2024.study:STUDY",
        ),
        StudyEntry(
            name="shinkle2025",
            paper="Activation plateau mechanisms (Shinkle & Heimersheim, 2025; LessWrong)",
            question="Which parts of a model make its activation plateaus?",
            settings="steppe.studies.shinkle2025.settings:Settings",
            study="steppe.studies.shinkle2025.study:STUDY",
        ),
        StudyEntry(
            name="ferreira2026",
            paper="Evidence for feature-specific error correction in LLMs "
            "(Ferreira da Silva & Heimersheim, 2026; arXiv 2606.24964)",
            question="Are feature directions privileged: are mixtures of two tolerated longer?",
            settings="steppe.studies.ferreira2026.settings:Settings",
            study="steppe.studies.ferreira2026.study:STUDY",
        ),
        StudyEntry(
            name="compositions",
            paper="",
            question="What has to be kept of a real activation for its plateau to appear?",
            settings="steppe.studies.compositions.settings:Settings",
            study="steppe.studies.compositions.study:STUDY",
        ),
        StudyEntry(
            name="sae_scores",
            paper="",
            question="Which SAE of a release, and which latent of one, does most to the model?",
            settings="steppe.studies.sae_scores.settings:Settings",
            study="steppe.studies.sae_scores.study:STUDY",
        ),
    ],
)


def find_study(name: str) -> StudyEntry:
    """Return the study of that name.

    Raises:
        InputError: There is none; the nearest name is suggested.
    """
    return STUDIES.find(name)
