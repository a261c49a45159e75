"""Which recipes exist, and the question each answers. Loads nothing heavy."""

from __future__ import annotations

from dataclasses import dataclass

from steppe.core.names import find


@dataclass(frozen=True)
class Recipe:
    """One study that can be run.

    Attributes:
        name: As typed on the command line.
        paper: What it reproduces.
        question: What it asks, in one line.
        settings: Address of its settings class.
        study: Address of the function that turns settings and an `Opening` into a `Study`.
    """

    name: str
    paper: str
    question: str
    settings: str
    study: str


RECIPES: dict[str, Recipe] = {
    recipe.name: recipe
    for recipe in [
        Recipe(
            name="giglemiani2024",
            paper="Evaluating Synthetic Activations composed of SAE Latents in GPT-2 "
            "(Giglemiani, Petrova, Mangat, Janiak & Heimersheim, 2024; arXiv 2409.15019)",
            question="Do activations composed of SAE latents behave like the model's own?",
            settings="steppe.recipes.giglemiani2024.settings:Settings",
            study="steppe.recipes.giglemiani2024.study:open_study",
        ),
        Recipe(
            name="heimersheim2024",
            paper="[Interim research report] Activation plateaus & sensitive directions in GPT2 "
            "(Heimersheim & Mendel, 2024)",
            question="Do real activations lie on plateaus, and which directions lead off soonest?",
            settings="steppe.recipes.heimersheim2024.settings:Settings",
            study="steppe.recipes.heimersheim2024.study:open_study",
        ),
        Recipe(
            name="lee2024",
            paper="Investigating Sensitive Directions in GPT-2: An Improved Baseline and "
            "Comparative Analysis of SAEs (Lee & Heimersheim, 2024; arXiv 2410.12555)",
            question="Are SAE errors and SAE features more influential than random directions?",
            settings="steppe.recipes.lee2024.settings:Settings",
            study="steppe.recipes.lee2024.study:open_study",
        ),
    ]
}


def find_recipe(name: str) -> Recipe:
    """Return the recipe of that name.

    Raises:
        InputError: There is none; the nearest name is suggested.
    """
    return find(name, RECIPES, "recipe", "`steppe list` shows every recipe")
