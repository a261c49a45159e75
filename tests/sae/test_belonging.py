"""An SAE of another model, in other coordinates, or that does badly is told apart."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
import torch

from steppe.core.errors import InputError
from steppe.sae.belonging import check_fits, doubts, require_trust
from steppe.sae.config import SaeConfig
from steppe.sae.model import Sae, SaeIdentity
from steppe.sae.quality import SaeQuality

GOOD = SaeQuality(0.9, 20.0, 0.1, 100)


@dataclass(frozen=True)
class Origin:
    source: str = "hub"


@dataclass(frozen=True)
class Shape:
    name: str = "openai-community/gpt2"
    d_model: int = 4
    n_layers: int = 2
    identity: Origin = Origin()
    model_type: str = "gpt2"
    coordinates: str = "centered"
    can_be_centered: bool = True


def made(**config: object) -> Sae:
    weights = {"W_dec": torch.zeros(8, 4)}
    return Sae(SaeConfig("standard", 4, 8, **config), weights, SaeIdentity("an/sae", "0"))


@pytest.mark.parametrize(
    ("model_name", "model", "belongs"),
    [
        ("gpt2-small", Shape(), True),
        ("gpt2", Shape(name="gpt2"), True),
        ("gpt2-medium", Shape(), False),
        ("pythia-160m", Shape(), False),
        (None, Shape(), True),
        ("meta-llama/Llama-3.1-8B", Shape(name="meta-llama/Meta-Llama-3.1-8B"), True),
        ("gemma-2-2b", Shape(name="google/gemma-2-2b"), True),
        ("gemma-2-2b", Shape(name="google/gemma-2-2b-it"), False),
        ("steppe-demo", Shape(name="demo", identity=Origin("bundled")), True),
        ("gpt2-small", Shape(name="demo", identity=Origin("bundled")), False),
        # A folder, or an object, has a name that says nothing: the family decides.
        ("gpt2-small", Shape(name="mine", identity=Origin("/models/mine")), True),
        ("pythia-160m", Shape(name="mine", identity=Origin("/models/mine")), False),
        ("pythia-160m", Shape(identity=Origin("object"), model_type="gpt_neox"), True),
        ("gemma-2-2b", Shape(identity=Origin("object"), model_type="llama"), False),
        ("my-own-model", Shape(identity=Origin("object")), True),
        ("gpt2-small", Shape(identity=Origin("object"), model_type="bloom"), True),
    ],
)
def test_models(model_name: str | None, model: Shape, belongs: bool) -> None:
    assert (doubts(made(model_name=model_name), model, GOOD) == []) == belongs


@pytest.mark.parametrize(
    ("wanted", "model", "fits"),
    [
        (None, Shape(), True),
        ("centered", Shape(), True),
        ("raw", Shape(coordinates="raw"), True),
        ("raw", Shape(), False),
        ("centered", Shape(coordinates="raw"), False),
        # TransformerLens centres no model without LayerNorm, whatever it was asked.
        ("centered", Shape(coordinates="raw", can_be_centered=False), True),
    ],
)
def test_coordinates(wanted: str | None, model: Shape, fits: bool) -> None:
    sae = made(coordinates=wanted)
    if fits:
        check_fits(sae, model)
        return
    with pytest.raises(InputError, match=f"an SAE of {wanted} residuals, for a model in"):
        check_fits(sae, model)


@pytest.mark.parametrize(
    ("found", "objective", "got"),
    [
        (SaeQuality(-0.14, 20.0, 0.1, 100), None, "explained variance -0.14 "),
        (SaeQuality(0.49, 20.0, 0.1, 100), "e2e_ds", "explained variance 0.49 "),
        (SaeQuality(float("nan"), 20.0, 0.1, 100), None, "explained variance nan "),
        (SaeQuality(0.0, 0.0, 1.0, 100), None, "no latent active on any activation"),
        (SaeQuality(0.0, 0.0, 1.0, 100), "e2e", "no latent active on any activation"),
    ],
)
def test_what_does_badly_is_refused_with_its_number(
    found: SaeQuality, objective: str | None, got: str
) -> None:
    with pytest.raises(InputError, match=got) as caught:
        require_trust(made(objective=objective), Shape(), found)
    assert "--accept-sae" in caught.value.fix
    for reason in ("coordinates", "hook", "normalisation", "BOS", "model"):
        assert reason in caught.value.expected


@pytest.mark.parametrize(("stated", "is_off"), [(19, False), (11, False), (9, True), (41, True)])
def test_an_l0_far_from_what_was_published(stated: float, is_off: bool) -> None:
    found = doubts(made(stated_l0=float(stated)), Shape(), GOOD)
    assert found == ([f"L0 20, published with {stated}"] if is_off else [])


def test_what_does_well_is_not() -> None:
    require_trust(made(), Shape(), GOOD)
    # An end-to-end SAE matches outputs, not activations.
    require_trust(made(objective="e2e"), Shape(), SaeQuality(-3.0, 20.0, 0.1, 100))
