"""The axis vocabulary: every named dimension of steppe's arrays, its meaning and its unit."""

from __future__ import annotations

KIND = "kind"
MODE = "mode"
CONTEXT = "context"
SAMPLE = "sample"
STEP = "step"
POSITION = "position"
D_MODEL = "d_model"
VOCAB = "vocab"
LATENT = "latent"
RANK = "rank"
SERIES = "series"
QUANTILE = "quantile"
SAE = "sae"
DRAW = "draw"
POINT = "point"
FAMILY = "family"
NEIGHBOUR = "neighbour"
CORNER = "corner"
ROW = "row"
COLUMN = "column"
AXIS = "axis"
START = "start"
MOMENT = "moment"
CONTROL = "control"
PAIR = "pair"
FACTOR = "factor"
MOVED = "moved"
READ = "read"
BLOCK = "block"
DIRECTION = "direction"
SENSE = "sense"
PROMPT = "prompt"

MEANING: dict[str, str] = {
    KIND: "how targets (or bases) are made",
    MODE: "how a path is laid: absolute (fixed step length), relative (fraction of the way), "
    "straight (length in norms of the base) or sphere (angle at the base's norm)",
    CONTEXT: "native: a base in its own prompt; foreign: a base placed in another prompt",
    SAMPLE: "one base prompt and all that is drawn for it",
    STEP: "index on the path's grid, 0 at the base",
    POSITION: "token position in a prompt",
    D_MODEL: "component of the residual stream",
    VOCAB: "token of the vocabulary",
    LATENT: "latent of a sparse autoencoder",
    RANK: "rank of a latent by its activation, 1 the strongest",
    SERIES: "one kind of direction, or of replacement, at one site and with one SAE",
    QUANTILE: "quantile over the tokens of a sample",
    SAE: "one sparse autoencoder",
    DRAW: "one of several directions drawn for a sample and kind",
    POINT: "target on the barycentric grid of a triangle",
    FAMILY: "one 2-D family of directions, or one way of making directions",
    NEIGHBOUR: "a direction of such a family: its corner, or near it",
    CORNER: "one of the activations that span a plane or a triangle",
    ROW: "place along the second axis of a plane",
    COLUMN: "place along the first axis of a plane",
    AXIS: "the two axes of a plane",
    START: "one of several directions that an ascent starts from",
    MOMENT: "before or after an ascent",
    PAIR: "two directions that span a plane",
    FACTOR: "what a threshold is multiplied by",
    CONTROL: "another model, or site, with which effects are set beside",
    MOVED: "the block at whose output activations are moved",
    READ: "the site, or logits, at which the output is looked at",
    BLOCK: "the block in which something is measured",
    DIRECTION: "a kind of direction that was asked for",
    SENSE: "along a direction, or against it",
    PROMPT: "one of the prompts that every latent is tried in",
}
