"""Decoding and checking of many scalar events of the same layout at once.

Such events differ only in the values, the wall time and the step, always at the same
places. They are recognised by their constant bytes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from google_crc32c import value as crc32c
from numpy.typing import NDArray

from annarchy_tb.inputs.importing import importing
from annarchy_tb.tfevents.checksums import changes
from annarchy_tb.tfevents.parsing import (
    last_field,
    read_varint,
    spans,
)
from annarchy_tb.tfevents.records import (
    BYTES,
    FIXED32,
    FIXED64,
    TAIL,
    UINT32,
    VARINT,
    mask,
)
from annarchy_tb.tfevents.schema import (
    BLOCK,
    DOUBLES,
    METADATA,
    REAL_TIME,
    SCALAR,
    TENSOR,
    TIME,
    kind_of_plugin,
)

NOWHERE = slice(0, 0)

# The wire types of an event's fields that are not values, in the order of `Layout`.
WIRES = {
    **{1: FIXED64, 2: VARINT, DOUBLES: BYTES, TIME: FIXED64, REAL_TIME: FIXED64},
    BLOCK: FIXED32,
}

DTYPES = {1: "<f4", 2: "<f8"}  # TensorFlow's DT_FLOAT and DT_DOUBLE


class Columns(NamedTuple):
    """Scalars of n events that hold the same K tags.

    ``places`` ``(n,)`` are the places of their records in the file, ``steps``,
    ``wall_times`` and ``times`` ``(n,)`` their steps, wall times and simulated times,
    as in `Event`; ``values`` are K arrays ``(n,)`` of float32 or float64. ``blocks``
    ``(n,)`` are the numbers of the blocks that they were drawn from; None if they were
    not.
    """

    tags: tuple[str, ...]
    places: NDArray[np.intp]
    steps: NDArray[np.int64]
    wall_times: NDArray[np.float64]
    times: NDArray[np.float64]
    values: tuple[NDArray[Any], ...]
    blocks: NDArray[np.int64] | None = None

    def only(self, those: NDArray[np.bool_]) -> Columns:
        """Return some of the events."""
        blocks = None if self.blocks is None else self.blocks[those]
        values = tuple(column[those] for column in self.values)
        return Columns(
            self.tags,
            self.places[those],
            self.steps[those],
            self.wall_times[those],
            self.times[those],
            values,
            blocks,
        )


class Layout(NamedTuple):
    """Places of the changing bytes within an event of scalars.

    ``wall_time``, ``step``, ``doubles``, ``time``, ``real_time`` and ``block`` are
    slices, empty if the event has none; ``values`` are the places of the values' first
    bytes, with their types.
    """

    tags: tuple[str, ...]
    values: tuple[tuple[int, str], ...]
    wall_time: slice
    step: slice
    doubles: slice
    time: slice
    real_time: slice
    block: slice

    @property
    def variable(self) -> tuple[Any, ...]:
        """The places that events must share to be decoded together."""
        return (self.values, *((part.start, part.stop) for part in self[2:]))


class Decoded(NamedTuple):
    """What became of events of one length.

    The scalars among them, the places of events with a wrong checksum, and those of all
    other events.
    """

    columns: list[Columns]
    bad: list[int]
    others: list[int]


class Layouts:
    """Layouts of scalar events found so far.

    Parameters
    ----------
    kinds
        The kinds of tags, for tensors that do not give theirs.
    """

    _kinds: dict[str, str]
    # By the places that change, then the length and all other bytes.
    _layouts: dict[tuple[Any, ...], dict[tuple[int, bytes], Layout]]

    def __init__(self, kinds: dict[str, str]) -> None:
        self._kinds = kinds
        self._layouts = {}

    def decode(self, rows: NDArray[np.uint8], places: NDArray[np.intp]) -> Decoded:
        """Decode the scalars among events of one length.

        Parameters
        ----------
        rows
            Shape ``(n, length + 4)``: the events and their checksums.
        places
            Shape ``(n,)``: the places of their records in the file.
        """
        size = rows.shape[1] - TAIL
        columns, bad, others = decoded = Decoded([], [], [])
        while len(rows):
            event = rows[0, :size].tobytes()
            crc = UINT32.unpack(rows[0, size:].tobytes())[0]
            layout = self._layout(event) if crc == mask(crc32c(event)) else None
            if layout is None:
                others.append(int(places[0]))
                rows, places = rows[1:], places[1:]
                continue
            # Events with the keys of their fields elsewhere are left for later.
            keys = [part.start - 1 for part in _places(layout)]
            same = (rows[:, keys] == rows[0, keys]).all(axis=1)
            rest, rest_places = rows[~same], places[~same]
            if len(rest):
                rows, places = rows[same], places[same]
            constant = _constant(rows, layout)
            kinds, group = _groups(constant)
            right = _checked(rows, constant, kinds, group, layout)
            bad += places[~right].tolist()
            like = self._like(layout)
            found = [like(rows[row], constant[row]) for row in kinds]
            alike = np.array([one is not None for one in found])[group]
            taken = np.flatnonzero(right & alike & _steps_end(rows, layout.step))
            its = rows if len(taken) == len(rows) else rows[taken]
            steps = _steps(its, layout)
            drawn = layout.real_time if layout.real_time.stop else layout.wall_time
            wall_times = _floats(its, drawn, 0.0)
            times = _floats(its, layout.time, np.nan)
            values = [
                its[:, at : at + int(dtype[-1])].copy().view(dtype)[:, 0]
                for at, dtype in _numbers(layout)
            ]
            blocks: NDArray[np.int64] | None = None
            if layout.block.stop:
                its = np.ascontiguousarray(its[:, layout.block])
                blocks = its.view("<u4")[:, 0].astype(np.int64)
            order, parts = _parts(group[taken])
            if order is not None:
                taken, steps = taken[order], steps[order]
                wall_times, times = wall_times[order], times[order]
                values = [column[order] for column in values]
                blocks = None if blocks is None else blocks[order]
            its_places = places[taken]
            for number, part in parts:
                one = found[number]
                assert one is not None
                columns.append(
                    Columns(
                        one.tags,
                        its_places[part],
                        steps[part],
                        wall_times[part],
                        times[part],
                        tuple([column[part] for column in values]),
                        None if blocks is None else blocks[part],
                    )
                )
            left = right.copy()
            left[taken] = False
            rows = np.concatenate([rows[left], rest])
            places = np.concatenate([places[left], rest_places])
        return decoded

    def _like(
        self, layout: Layout
    ) -> Callable[[NDArray[np.uint8], NDArray[np.uint64]], Layout | None]:
        """Return what gives the layout of an event that has the same places."""
        variable = layout.variable
        layouts = self._layouts.setdefault(variable, {})

        def like(row: NDArray[np.uint8], constant: NDArray[np.uint64]) -> Layout | None:
            key = (len(row), constant.tobytes())
            if key not in layouts:
                one = self._layout(row[:-TAIL].tobytes())
                if one is None or one.variable != variable:
                    return None
                layouts[key] = one
            return layouts[key]

        return like

    def _layout(self, event: bytes) -> Layout | None:
        """Return the layout of an event, if it holds scalars only."""
        found: dict[int, slice] = {}
        values: list[tuple[str, int, str]] = []
        try:
            for field, wire, start, end in spans(event, 0, len(event)):
                if WIRES.get(field) == wire and field not in found:
                    found[field] = slice(start, end)
                elif (field, wire) == (5, BYTES):
                    for inner, kind, begin, stop in spans(event, start, end):
                        if (inner, kind) != (1, BYTES):
                            return None
                        values.append(self._scalar(event, begin, stop))
                else:
                    return None
        except ValueError:  # from _scalar, or this is no event
            return None
        doubles = found.get(DOUBLES, NOWHERE)
        if not values or doubles.stop - doubles.start not in (0, 8 * len(values)):
            return None
        tags = tuple(tag for tag, _, _ in values)
        places = tuple((at, dtype) for _, at, dtype in values)
        return Layout(tags, places, *(found.get(field, NOWHERE) for field in WIRES))

    def _scalar(self, event: bytes, at: int, end: int) -> tuple[str, int, str]:
        """Return tag, place and type of a scalar; raise ValueError for other values."""
        tag, kind, found = "", "", []
        for field, wire, start, stop in spans(event, at, end):
            if (field, wire) == (1, BYTES):
                tag = event[start:stop].decode(errors="replace")
            elif (field, wire) == (SCALAR.field, FIXED32):
                kind = SCALAR.name
                found.append((start, "<f4"))
            elif (field, wire) == (TENSOR, BYTES):
                found.append(_number(event, start, stop))
            elif (field, wire) == (METADATA, BYTES):
                name = last_field(last_field(event[start:stop], 1), 1)
                plugin = name.decode(errors="replace")
                kind = kind or kind_of_plugin(plugin)
            else:
                raise ValueError("not a scalar")
        if kind:  # other events of the tag may not give it
            self._kinds.setdefault(tag, kind)
        if len(found) != 1 or (kind or self._kinds.get(tag)) != SCALAR.name:
            raise ValueError("not a scalar")
        return tag, *found[0]


def _number(event: bytes, at: int, end: int) -> tuple[int, str]:
    """Return place and type of the only float of a tensor of shape ``()``."""
    dtype, found = "", []
    for field, wire, start, stop in spans(event, at, end):
        if (field, wire) == (1, VARINT):
            dtype = DTYPES.get(read_varint(event, start, stop)[0], "")
        elif field in (4, 5, 6):  # tensor_content, float_val, double_val
            found.append((start, stop - start))
        elif field != 2 or start != stop:  # tensor_shape, which is empty
            raise ValueError("not a scalar")
    if not dtype or [size for _, size in found] != [int(dtype[-1])]:
        raise ValueError("not a scalar")
    return found[0][0], dtype


def _places(layout: Layout) -> list[slice]:
    """Return the slices of all changing bytes, from front to back."""
    values = [slice(at, at + int(dtype[-1])) for at, dtype in layout.values]
    every = [*layout[2:], *values]
    return sorted((p for p in every if p.stop > p.start), key=lambda p: p.start)


def _constant(rows: NDArray[np.uint8], layout: Layout) -> NDArray[np.uint64]:
    """Return the events in words of 8 bytes, with zeros for all changing bytes."""
    size = rows.shape[1] - TAIL
    table = np.zeros((len(rows), -(-size // 8) * 8), np.uint8)
    table[:, :size] = rows[:, :size]
    for place in _places(layout):
        table[:, place] = 0
    return table.view(np.uint64)


def _groups(words: NDArray[np.uint64]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Return the first row of each group of equal rows, and the group of each row.

    The first group is that of the first row.
    """
    group = np.zeros(len(words), np.intp)
    first = [0]
    other = words != words[0]
    if other.any():  # which is much faster than to look at each row
        with importing:
            from numpy.random import default_rng
        odd = default_rng(0).integers(2**63, size=words.shape[1]) * 2 + 1
        hashes = words @ odd.astype(np.uint64)
        differ = np.flatnonzero(hashes != hashes[0])
        _, kinds, inverse = np.unique(
            hashes[differ], return_index=True, return_inverse=True
        )
        first += differ[kinds].tolist()
        group[differ] = inverse.reshape(-1) + 1
        # Groups with the same hash: rows unlike the first become groups of one.
        unlike = words != words[np.array(first)[group]]
        if unlike.any():
            for row in np.flatnonzero(unlike.any(axis=1)).tolist():
                group[row] = len(first)
                first.append(row)
    return np.array(first), group


def _checked(
    rows: NDArray[np.uint8],
    constant: NDArray[np.uint64],
    kinds: NDArray[np.intp],
    group: NDArray[np.intp],
    layout: Layout,
) -> NDArray[np.bool_]:
    """Return which events match the checksums that follow them."""
    size = rows.shape[1] - TAIL
    bases = [crc32c(constant[row].tobytes()[:size]) for row in kinds]
    crcs = np.array(bases, np.uint32)[group]
    for place in _places(layout):
        for at in range(place.start, place.stop, 2):
            table = changes(size - at - 2)
            if at + 1 < place.stop:
                crcs ^= table.take(rows[:, at : at + 2].view("<u2")[:, 0])
            else:
                crcs ^= table.take(rows[:, at])
    stored: NDArray[np.uint32] = rows[:, size:].view("<u4")[:, 0]
    right: NDArray[np.bool_] = mask(crcs.astype(np.uint64)) == stored
    return right


def _steps_end(rows: NDArray[np.uint8], step: slice) -> NDArray[np.bool_]:
    """Return in which events the step's varint has exactly these bytes."""
    goes_on = np.arange(step.start, step.stop) < step.stop - 1
    end: NDArray[np.bool_] = ((rows[:, step] > 127) == goes_on).all(axis=1)
    return end


def _steps(rows: NDArray[np.uint8], layout: Layout) -> NDArray[np.int64]:
    bits = np.zeros(len(rows), np.uint64)
    for i, at in enumerate(range(layout.step.start, layout.step.stop)):
        bits |= (rows[:, at] & np.uint8(127)).astype(np.uint64) << np.uint64(7 * i)
    return bits.view(np.int64)


def _floats(
    rows: NDArray[np.uint8], place: slice, missing: float
) -> NDArray[np.float64]:
    """Return the doubles at one place, or `missing` where there is none."""
    if not place.stop:
        return np.full(len(rows), missing)
    found: NDArray[np.float64] = rows[:, place].copy().view("<f8")[:, 0]
    return found


def _numbers(layout: Layout) -> Sequence[tuple[int, str]]:
    """Return the places and types of the values, of their doubles if there are any."""
    if not layout.doubles.stop:
        return layout.values
    return [(at, "<f8") for at in range(layout.doubles.start, layout.doubles.stop, 8)]


def _parts(
    group: NDArray[np.intp],
) -> tuple[NDArray[np.intp] | None, list[tuple[int, slice]]]:
    """Return an order in which equal numbers stand together, and each with its places.

    The order is None if all numbers are equal.
    """
    if not len(group):
        return None, []
    if not (group != group[0]).any():
        return None, [(int(group[0]), slice(None))]
    small = group.max() < 1 << 16  # much faster to sort
    order = np.argsort(group.astype("u2") if small else group, kind="stable")
    ordered = group[order]
    begins = [0, *(np.flatnonzero(ordered[1:] != ordered[:-1]) + 1).tolist()]
    numbers = ordered[begins].tolist()
    parts = map(slice, begins, [*begins[1:], len(group)])
    return order, list(zip(numbers, parts, strict=True))
