"""What comes out when points are placed at a site? Only the blocks after the site are computed.

Blocks before the site are passed through (they stay in place, so layer indices, masks and positions
keep their meaning), the points replace the residual stream, and the forward pass stops after the
last site that is read when no logits are asked. Not safe for use from several threads at once.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from types import TracebackType
from typing import Any, Self

import torch
from torch import Tensor, nn

from steppe.core.errors import InputError
from steppe.core.sites import Site, as_site
from steppe.models.components import find_tap
from steppe.models.devices import is_out_of_memory
from steppe.models.mode import evaluating
from steppe.models.model import Model
from steppe.propagation.counting import count_points
from steppe.propagation.forward import StopForward, by_prompt, start_of, to_site, watch
from steppe.propagation.outputs import Outputs, joined
from steppe.propagation.packing import hold_weights, release_weights, state_of
from steppe.propagation.plan import bytes_per_point, out_of_memory, points_per_batch, tell_of_cut
from steppe.propagation.prefix import Prefix, check_entry, engine_of, leave_out_attention
from steppe.propagation.replacements import replace_forward, replacements
from steppe.propagation.shared_attention import for_points


class Suffix:
    """The part of a model after a site, as a function of the points placed there.

    A context manager: entering it prepares the model, leaving it restores the model, also after an
    error. While it is open the model works as usual: only calls of the suffix use what it
    installed. Several may be open at once, and be closed in any order. Weights stay as they are
    while it is open; whatever was changed before is seen when it is opened.

    Args:
        model: The model.
        site: Where points are placed; its position is one position or ``"all"``.
        read: Sites to read. Each is read at its own position (by default the last), or at all
            positions when points are placed at all positions.
        logits: Whether to return logits.

    Raises:
        InputError: A site does not fit the model, a site lies before the points, nothing is asked
            for, or the model is recurrent.

    Example:
        ```python
        with Suffix(model, site, read=[last], logits=True) as suffix:
            for tokens in prompts.tokens:
                outputs = suffix(build_prefix(model, tokens, site), points)
        ```
    """

    def __init__(
        self,
        model: Model,
        site: Site | str,
        *,
        read: Sequence[Site | str],
        logits: bool = False,
    ) -> None:
        self._engine = engine_of(model)
        self.model = model
        self.site = check_entry(model, site)
        self.reads = tuple(map(as_site, read))
        self.logits = logits
        self._entry = self.site.blocks_before(model.n_layers)
        self._place = self.site.place(model.n_layers)
        self._places = tuple(site.place(model.n_layers) for site in self.reads)
        self._check_reads()
        self._stop = None if logits else max(self._places)
        self._keep_last = "logits_to_keep" in inspect.signature(model.hf_model.forward).parameters
        self._path_length = 1
        self._rows: Tensor | None = None
        self._seen: dict[tuple[int, int], Tensor] = {}
        self._installed: ExitStack | None = None
        self._weights: dict[nn.Module, tuple[int, int]] = {}

    def __enter__(self) -> Self:
        if self._installed is not None:
            raise InputError(
                f"suffix after {self.site.name}",
                got="a with block around it inside its own",
                expected="one with block at a time",
                fix="make a second Suffix",
            )
        model, blocks = self.model, self.model.anatomy.blocks
        with ExitStack() as stack:
            hold_weights()
            stack.callback(release_weights)
            if self._engine != "full":
                for block in blocks[: self._entry]:
                    stack.callback(replace_forward(block, self._pass_through, self._is_running))
            if self._entry == 0:
                hook = blocks[0].register_forward_pre_hook(self._enter_points, with_kwargs=True)
                stack.callback(hook.remove)
            elif self._engine == "full":
                hook = blocks[self._entry - 1].register_forward_hook(self._leave_points)
                stack.callback(hook.remove)
            faster = self._engine == "fast"
            for module, forward in replacements(self._modules_after(), self._layout, faster=faster):
                stack.callback(replace_forward(module, forward, self._is_running))
                if hasattr(module, "weight"):
                    self._weights[module] = state_of(module)
            if self.site.point == "resid_mid":
                stack.callback(leave_out_attention(model, self._entry, self._is_running))
            for place in {place for place in self._places if place > self._place}:
                stack.callback(watch(model, place, self._reader(place)))
            self._installed = stack.pop_all()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        fault: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._installed is not None:
            self._installed.close()
            self._installed = None
            self._weights.clear()

    def __call__(self, prefix: Prefix, points: Tensor, *, path_length: int = 1) -> Outputs:
        """Run the points of a prompt, or of several, and return everything at once; see `batches`.

        Args:
            prefix: The prompt, from `build_prefix` with this suffix' site.
            points: ``(step, d_model)`` in the model's coordinates; ``(step, position, d_model)``
                when the site's position is ``"all"``. Of several prompts: as many of each, in
                order, one after the other.
            path_length: How many points, one after the other, are a path from the first to the
                last. In half precision the steps of a path are multiplied, not its points, so that
                rounding does not add steps of its own (see `stepwise`); otherwise it changes
                nothing. 1: the points have nothing to do with each other.

        Returns:
            What came out, without a leading prompt axis. The tensors are inference tensors: clone
            them before changing them in place.

        Raises:
            InputError: The suffix is not open, or the prefix or the points do not fit it.
            RunFailedError: Not even one point fits in memory.
        """
        if prefix.prompts > 1:
            self._check_call(prefix, points)
            outputs = self._together(prefix, points, path_length)
            if outputs is not None:
                return outputs
            prompts = [prefix[place] for place in range(prefix.prompts)]
            own = zip(prompts, points.chunk(len(prompts)), strict=True)
            return joined([self(one, its, path_length=path_length) for one, its in own])
        parts = [
            outputs.after(steps)
            for steps, outputs in self.batches(prefix, points, path_length=path_length)
        ]
        return parts[0] if len(parts) == 1 else joined(parts)

    def batches(
        self, prefix: Prefix, points: Tensor, *, path_length: int = 1
    ) -> Iterator[tuple[slice, Outputs]]:
        """Run one prompt's points, as many at once as memory is meant for: mostly all of them.

        A batch that runs out of memory is halved, and so are those after it.

        Args:
            prefix: The prompt.
            points: As for a call.
            path_length: As for a call.

        Yields:
            Which steps, and what came out. The outputs of every batch begin with those of step 0,
            computed in that batch, so that each can be compared with its own reference.

        Raises:
            InputError: The suffix is not open, or the prefix or the points do not fit it.
            RunFailedError: Not even one point fits in memory.
        """
        self._check_call(prefix, points)
        if prefix.prompts > 1:
            raise ValueError("batches of one prompt's points: index the prefix")
        positions = self._positions(prefix)
        per_point = self._bytes_per_point(prefix)
        size, start = points_per_batch(self.model, len(points), per_point), 0
        while start < len(points):
            steps = slice(start, min(start + size, len(points)))
            rows = points[steps] if start == 0 else torch.cat([points[:1], points[steps]])
            # A part of a path is a path too, with one long step from point 0 to its own first.
            is_whole = path_length == 1 or len(rows) == len(points)
            if not is_whole:
                tell_of_cut(self.model, size, len(points), per_point)
            self._path_length = path_length if is_whole else len(rows)
            outputs = self._batch(prefix, rows, positions)
            if outputs is not None:
                yield steps, outputs
                start = steps.stop
            elif size == 1:
                raise out_of_memory(self.model, per_point)
            else:
                size //= 2

    def fits(self, prefix: Prefix, points: int) -> bool:
        """Whether so many points of a prompt run as one batch.

        Args:
            prefix: The prompt.
            points: How many.
        """
        per_point = self._bytes_per_point(prefix)
        return points_per_batch(self.model, points, per_point) == points

    def _bytes_per_point(self, prefix: Prefix) -> int:
        return bytes_per_point(self.model, prefix.positions, prefix.length, logits=self.logits)

    def _positions(self, prefix: Prefix) -> list[int | slice]:
        return [self._read_position(site, prefix) for site in self.reads]

    def _together(self, prefix: Prefix, points: Tensor, path_length: int) -> Outputs | None:
        """All points of several prompts as one batch; None where they do not fit in memory."""
        if not self.fits(prefix, len(points)):
            return None
        self._path_length = path_length
        return self._batch(prefix, points, self._positions(prefix))

    def _batch(
        self, prefix: Prefix, points: Tensor, positions: list[int | slice]
    ) -> Outputs | None:
        """One forward pass after the site; None when it ran out of memory."""
        count_points(len(points))
        with torch.inference_mode():
            try:
                self._rows = self._rows_of(prefix, points)
                self._seen[self._place] = self._rows
                logits = self._run(prefix, len(points))
                return Outputs(self._residuals(dict(self._seen), positions), logits)
            except RuntimeError as error:
                if not is_out_of_memory(error):
                    raise
                return None
            finally:
                self._rows = None
                self._seen.clear()

    def _run(self, prefix: Prefix, n_points: int) -> Tensor | None:
        if self._stop == self._place:
            return None
        options: dict[str, Any] = {"use_cache": prefix.cache is not None}
        if self._keep_last and self.site.position != "all":
            options["logits_to_keep"] = 1
        tokens = prefix.tokens[..., prefix.start :].reshape(prefix.prompts, -1)
        tokens = for_points(tokens, n_points)
        try:
            with evaluating(self.model.hf_model):
                outputs = self.model.hf_model(
                    input_ids=tokens, past_key_values=prefix.cache, **options
                )
        except StopForward:
            return None
        logits: Tensor = outputs.logits if self.site.position == "all" else outputs.logits[:, -1]
        return logits if logits.dtype == torch.float64 else logits.float()

    def _rows_of(self, prefix: Prefix, points: Tensor) -> Tensor:
        """The residual stream at the site, raw: the points, then the clean later positions."""
        points = points.to(prefix.rows)
        if self.site.position == "all":
            return points
        if prefix.positions == 1:
            return points[:, None]
        clean = prefix.rows.reshape(prefix.prompts, prefix.positions, -1)
        rows = for_points(clean, len(points)).clone()
        rows[:, prefix.place] = points
        return rows

    def _residuals(
        self, values: dict[tuple[int, int], Tensor], positions: list[int | slice]
    ) -> dict[str, Tensor]:
        return {
            site.name: to_site(self.model, values[place][:, position], site)
            for site, place, position in zip(self.reads, self._places, positions, strict=True)
        }

    def _read_position(self, site: Site, prefix: Prefix) -> int | slice:
        """Where a site is read among the positions that are run."""
        if self.site.position == "all":
            return slice(None)
        place = f"read site {site.name}"
        position = start_of(site.position, prefix.length, place) - prefix.start
        if position < prefix.place:
            raise InputError(
                place,
                got=f"position {position + prefix.start}, before the points",
                expected=f"{prefix.start + prefix.place} or later: earlier positions cannot change",
                fix="read at the position of the points or after it",
            )
        return position

    def _modules_after(self) -> list[nn.Module]:
        """What runs after the site: blocks, and the unembedding when logits are asked."""
        anatomy = self.model.anatomy
        unembedding = anatomy.unembedding if self.logits else None
        # The block that the last site lies inside of runs, too.
        stop = None if self._stop is None else self._stop[0] + (self._stop[1] > 0)
        return [*anatomy.blocks[self._entry : stop], *filter(None, [unembedding])]

    def _layout(self) -> tuple[int, int]:
        """Points of the batch and of a path."""
        return (1 if self._rows is None else len(self._rows)), self._path_length

    def _is_running(self) -> bool:
        return self._rows is not None

    def _pass_through(self, *_args: Any, **_kwargs: Any) -> Any:
        """What a block before the site returns during a call: the points."""
        return (self._rows,) if self.model.anatomy.block_returns_tuple else self._rows

    def _leave_points(self, _module: nn.Module, _args: Any, output: Any) -> Any:
        """What the block before the site hands on when it was computed: the points instead."""
        if self._rows is None:
            return None
        return (self._rows, *output[1:]) if isinstance(output, tuple) else self._rows

    def _enter_points(
        self, _module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
        if self._rows is None:
            return None
        if args:
            return (self._rows, *args[1:]), kwargs
        return args, {**kwargs, "hidden_states": self._rows}

    def _reader(self, place: tuple[int, int]) -> Callable[[Tensor], None]:
        def read(value: Tensor) -> None:
            if self._rows is not None:
                # What a part adds may be added to in its place by the block.
                self._seen[place] = by_prompt(value, len(self._rows)) if place[1] else value
                if place == self._stop:
                    raise StopForward

        return read

    def _check_reads(self) -> None:
        if not self.reads and not self.logits:
            raise InputError(
                f"suffix after {self.site.name}",
                got="nothing to read",
                expected="at least one read site, or logits=True",
                fix="read blocks.last.hook_resid_post",
            )
        for site, place in zip(self.reads, self._places, strict=True):
            if site.is_inside:
                find_tap(self.model.hf_model, self.model.anatomy, place[0], site.point)
            if place < self._place:
                raise InputError(
                    f"read site {site.name}",
                    got=f"a site before {self.site.name}, where the points are placed",
                    expected="the same site or a later one: earlier ones cannot change",
                    fix="read blocks.last.hook_resid_post",
                )
            if site.position == "all" and self.site.position != "all":
                raise InputError(
                    f"read site {site.name}",
                    got="position 'all' while points are placed at one position",
                    expected="one position, or points at all positions",
                    fix="read one position, or give the points' site position='all'",
                )

    def _check_call(self, prefix: Prefix, points: Tensor) -> None:
        if self._installed is None:
            raise InputError(
                f"suffix after {self.site.name}",
                got="a call while the suffix is not open",
                expected="a call inside its with block",
                fix="write: with Suffix(...) as suffix: suffix(prefix, points)",
            )
        if any(state_of(module) != state for module, state in self._weights.items()):
            raise InputError(
                f"suffix after {self.site.name}",
                got="weights that were changed while it is open",
                expected="the weights that it was opened with",
                fix="leave the with block, change weights, and open it (and prefixes) anew",
            )
        if prefix.site != self.site:
            raise InputError(
                f"suffix after {self.site.name} at position {self.site.position}",
                got=f"a prefix for {prefix.site.name} at position {prefix.site.position}",
                expected="a prefix built for the suffix' own site",
                fix="call build_prefix with the same site",
            )
        prefix.check_points(points)
