"""Directions out of a file: one vector, a matrix with names, or vectors by layer."""

from __future__ import annotations

import json
from importlib import import_module
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from steppe.core.errors import InputError, MissingExtraError
from steppe.core.sites import Site, as_site
from steppe.directions.direction_set import DirectionSet
from steppe.directions.entries import Entry, Place, entries_of, select
from steppe.models import Model
from steppe.sae.formats.files import check_memory, load_pt, read_arrays, refusal

ENDINGS = (".safetensors", ".npz", ".npy", ".pt", ".pth", ".gguf")
# The tensor types of GGUF that hold plain numbers.
_PLAIN_GGUF = {"F32", "F16", "F64"}


def from_file(
    path: str | Path,
    model: Model | None = None,
    site: Site | str | None = None,
    *,
    layer: int | None = None,
) -> DirectionSet:
    """Read directions from a file. Nothing that it holds is run.

    What is read: one vector; a matrix, one direction a row, with ``names`` beside ``vectors``; a
    dictionary of vectors by name, by layer (the output of that block), or by TransformerLens' hook
    name; repeng's GGUF files and its ``directions``; steering-vectors' ``layer_activations``;
    MagamedT/steering's ``layer_<i>.pt``.

    Args:
        path: A ``.safetensors``, ``.npz``, ``.npy``, ``.pt`` (read with ``weights_only``) or
            ``.gguf`` file.
        model: The model they are for; None: they are taken as they are.
        site: Where they are used. Of vectors by layer those of this site are taken.
        layer: Take those of this layer, whatever the site.

    Returns:
        The directions, of length 1, in the model's coordinates.

    Raises:
        InputError: No such file, or one that is damaged, needs code to be run, or holds something
            else; no vector of this layer; a zero vector, NaN, or another width.
        MissingExtraError: A ``.gguf`` file without the package ``gguf``.
    """
    where = Path(path).expanduser()
    name = f"directions {where}"
    entries = select(
        _entries(where), name, place=_place(site, model) if site else None, layer=layer
    )
    found = DirectionSet.of(
        [entry.name for entry in entries],
        _stacked(entries, name),
        name,
        [
            {**kept, "file": where.name, **({"site": e.site} if e.place else {})}
            for e, kept in zip(entries, _facts_in(where, len(entries)), strict=True)
        ],
    )
    return found if model is None else found.in_coordinates(model, name)


def _facts_in(path: Path, count: int) -> list[dict[str, Any]]:
    """What `DirectionSet.save` kept of each direction; nothing of other files."""
    if path.suffix.lower() == ".safetensors":
        with safe_open(path, framework="pt") as file:
            facts = json.loads((file.metadata() or {}).get("facts", "[]"))
        if isinstance(facts, list) and len(facts) == count:
            return [fact if isinstance(fact, dict) else {} for fact in facts]
    return [{} for _ in range(count)]


def names_in(path: str | Path) -> list[str]:
    """The names of a file's directions, those of several layers once.

    Raises:
        InputError: As `from_file`.
    """
    return list(dict.fromkeys(entry.name for entry in _entries(Path(path).expanduser())))


def _place(site: Site | str, model: Model | None) -> Place:
    asked = as_site(site)
    if model is not None:
        return asked.place(model.n_layers)
    if asked.layer < 0 or asked.point == "ln_final":
        raise InputError(
            f"site {asked.name}",
            got="a site counted from the model's end, and no model",
            expected="a layer by its number, or the model",
            fix="give model= as well",
        )
    return asked.place(asked.layer + 1)


def _entries(path: Path) -> list[Entry]:
    if not path.is_file():
        raise refusal(path, "no such file", "a file of directions", "check the path")
    ending = path.suffix.lower()
    if ending == ".safetensors":
        content: Any = _read_safetensors(path)
    elif ending in (".npz", ".npy"):
        content = read_arrays(path)
        content = content[""] if ending == ".npy" else content
    elif ending in (".pt", ".pth"):
        content = load_pt(path, "vars(m) if hasattr(m, '__dict__') else m")
    elif ending == ".gguf":
        content = _read_gguf(path)
    else:
        raise refusal(
            path,
            f"a file ending in {ending or 'nothing'}",
            f"one of {', '.join(ENDINGS)}",
            "save the vectors as .npz or .safetensors",
        )
    return entries_of(content, path)


def _read_safetensors(path: Path) -> dict[str, Any]:
    check_memory(path)
    try:
        with safe_open(path, framework="pt") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            said = (file.metadata() or {}).get("names")
        return {**tensors, **({"names": json.loads(said)} if said else {})}
    except (SafetensorError, OSError, ValueError) as error:
        raise refusal(path, f"unreadable ({error})", "a safetensors file") from None


def _read_gguf(path: Path) -> dict[str, Any]:
    try:
        gguf = import_module("gguf")
    except ImportError as fault:
        raise MissingExtraError(str(path), package="gguf", extra="gguf") from fault
    check_memory(path)
    try:
        reader = gguf.GGUFReader(path)
        field = reader.get_field("general.architecture")
        kind = bytes(field.parts[-1]).decode(errors="replace") if field else "none"
        tensors = {
            tensor.name: (tensor.tensor_type.name, tensor.data.copy()) for tensor in reader.tensors
        }
    except (ValueError, KeyError, IndexError, OSError, OverflowError, MemoryError) as error:
        raise refusal(path, f"unreadable ({error})", "a GGUF file") from None
    if kind != "controlvector":
        raise refusal(
            path,
            f"a GGUF file of architecture {kind!r}",
            "'controlvector', as repeng and llama.cpp write it",
            "export the control vector, not the model",
        )
    packed = [name for name, (kind, _) in tensors.items() if kind not in _PLAIN_GGUF]
    if packed:
        raise refusal(path, f"{packed[0]!r} quantised", "float32 or float16", "export it anew")
    return {name: data for name, (_, data) in tensors.items() if name.startswith("direction.")}


def _stacked(entries: list[Entry], place: str) -> Tensor:
    first = entries[0]
    for entry in entries:
        if entry.vector.shape != first.vector.shape:
            raise InputError(
                place,
                got=f"{first.name!r} of width {len(first.vector)}, {entry.name!r} of "
                f"{len(entry.vector)}",
                expected="vectors of one width, the model's d_model",
                fix="give a file that holds directions alone",
            )
    return torch.stack([entry.vector.double() for entry in entries])
