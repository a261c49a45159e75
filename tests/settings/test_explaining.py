"""Every setting is explained: none without a meaning, and each default in words."""

from __future__ import annotations

import pytest

from steppe.settings.catalogue import STUDIES
from steppe.settings.explaining import explain, settings_class


@pytest.mark.parametrize("study", STUDIES)
def test_every_setting_has_a_meaning_a_form_and_a_default_in_words(study: str) -> None:
    settings = explain(study)
    assert {s.name for s in settings} == set(settings_class(study).model_fields) - {"study"}
    for setting in settings:
        assert setting.meaning, setting.name
        assert setting.forms, setting.name
        assert setting.default, setting.name


def test_what_a_setting_takes_is_read_from_its_type() -> None:
    settings = {setting.name: setting for setting in explain("lee2024")}
    assert settings["lengths"].forms == ("coarse", "paper", "authors", "NUMBER")
    assert settings["lengths"].many
    assert settings["prompt_length"].limits == "at least 3"
    assert settings["prompt_length"].own
    assert not settings["seed"].own
    assert settings["tf32"].is_switch
    assert settings["tf32"].default == "no"
    assert settings["scale"].default == "by the norms' ratio to GPT-2"
    assert settings["first_position"].option == "--first-position"


def test_names_units_and_origins_are_told_where_they_are_known() -> None:
    settings = {setting.name: setting for setting in explain("heimersheim2024")}
    assert settings["level"].unit == "nats"
    assert settings["level"].origin == "the report"
    assert {"plateaus", "directions"} <= set(settings["only"].forms)
    kinds = next(setting for setting in explain("giglemiani2024") if setting.name == "kinds")
    assert "synthetic_structured" in kinds.forms
    assert kinds.many
