"""Parameters and results: one row per run in TensorBoard's HPARAMS tab.

The records go into the run's own file, so that a run is one row and no sub-run is
needed. There is no ``_hparams_/experiment`` record: if it differs between runs, it
hides columns of other runs; without it, TensorBoard shows the union of all columns.

The field numbers are those of ``plugin_data.proto`` and ``api.proto`` in
https://github.com/tensorflow/tensorboard, ``tensorboard/plugins/hparams``, and of
protobuf's ``struct.proto``.
"""

from __future__ import annotations

import contextlib
import enum
import math
import re
from collections.abc import Iterable, Iterator, Mapping
from time import time as now
from typing import TYPE_CHECKING, Any, SupportsFloat

import numpy as np

from annarchy_tb.inputs.arrays import number_type
from annarchy_tb.inputs.clock import TIME_UNIT, Clock
from annarchy_tb.inputs.foreign import Refused, as_numpy
from annarchy_tb.inputs.importing import importing
from annarchy_tb.inputs.messages import describe, naming, shape_of, short, warn
from annarchy_tb.inputs.numbers import as_names, as_text
from annarchy_tb.inputs.tags import RUN_TABLE
from annarchy_tb.inputs.units import is_quantity, separate
from annarchy_tb.kinds import text
from annarchy_tb.run.directory import RunDirectory
from annarchy_tb.run.entry import Entry
from annarchy_tb.run.state import RunState
from annarchy_tb.tfevents import records
from annarchy_tb.tfevents.event_file import event_files
from annarchy_tb.tfevents.parsing import Value, fields, last_field
from annarchy_tb.tfevents.records import (
    DOUBLE,
    Parts,
    bytes_field,
    double_field,
    plugin,
    text_field,
    value,
    varint_field,
)
from annarchy_tb.tfevents.scan import Block, Scan
from annarchy_tb.tfevents.schema import HPARAMS, METADATA, SCALAR

if TYPE_CHECKING:
    from annarchy_tb.logger import Logger
    from annarchy_tb.run.info import RunInfo

START_TAG = "_hparams_/session_start_info"
END_TAG = "_hparams_/session_end_info"
SUCCESS, FAILURE = 1, 2

Parameter = bool | int | float | str | None

# -- logging ---------------------------------------------------------------------------


def add_parameters(
    self: Logger,
    params: Mapping[str, Any],
    metrics: Mapping[str, SupportsFloat] | None = None,
    *,
    group: str | None = None,
) -> None:
    """Log the parameters of the run, which make its row in the HPARAMS tab.

    Call it once, at the start, so that failed runs get a row, too. The row's status is
    set when the Logger is closed: FAILURE if an exception ended the ``with`` block,
    otherwise SUCCESS. The status of a killed run remains unknown.

    Parameters
    ----------
    params : dict
        Numbers, bools and texts by their names. Nested dicts are flattened with ``/``;
        lists, functions and all other objects are shown as text. None, NaN and infinity
        leave their cell empty. A quantity becomes a number, and its unit a part of its
        name: ``{"tau": 10 * ms}`` is ``{"tau [ms]": 10.0}``.
    metrics : dict of str to float, optional
        The results, if already known: see `add_metrics`. In the table, every scalar of
        the run is a metric, with its last value.
    group : str, optional
        Runs of the same group share a row, with the averages of their metrics and the
        parameters of one of them: repetitions with other seeds, for example.
        TensorBoard groups runs across everything it shows, so the name must be unique
        there.

    Raises
    ------
    RuntimeError
        If this Logger has already logged the run's parameters.
    """
    method, run = "add_parameters", self._run
    run.check_open()
    if self._has_parameters:
        raise RuntimeError(
            f"{method}: the parameters of this run have already been logged. A run is "
            f"one row of HPARAMS, so make one Logger per trial: write 'with Logger() "
            f"as logger:' where the trial begins, not around all of them"
        )
    with naming(method, "params"):
        plain = flatten(params, self._opening.parameters()[0])
    with naming(method, None):
        if group is not None and not as_text("group", group):
            raise ValueError("group must not be empty; leave it out for a row alone")
    _log_parameters(
        self, method, plain, {} if metrics is None else metrics, None, group
    )


def add_hparams(
    self: Logger,
    params: Mapping[str, Parameter],
    metrics: Mapping[str, SupportsFloat],
    step: SupportsFloat | None,
) -> None:
    """Log parameters and metrics passed to the SummaryWriter.

    Unlike `add_parameters`, it may be called again with the same parameters.
    """
    _log_parameters(self, "add_hparams", params, metrics, step, None)


def _log_parameters(
    self: Logger,
    method: str,
    params: Mapping[str, Parameter],
    metrics: Mapping[str, SupportsFloat],
    step: SupportsFloat | None,
    group: str | None,
) -> None:
    run = self._run
    its, its_group = self._opening.parameters()
    if its is not None:
        _check_same(method, params, its)
        if group is not None and group != its_group:
            raise ValueError(
                f"{method}: group must be that of the run, {its_group!r}, got {group!r}"
            )
    label = "metrics" if method == "add_parameters" else None
    entry, results = _metrics(run, method, label, metrics, step)
    _write_metrics(entry, results)
    self._has_parameters = True
    changes: dict[str, Any] = {}
    if its is None:
        if START_TAG not in run.directory.ledger:  # else run.json was deleted
            write_start(run, params, run.started, group)
        changes = {"params": dict(params), "group": group}
    if changes or results:
        self._opening.begin()
        self._info.update(results, **changes)
        write_table(self)


def _check_same(
    method: str, params: Mapping[str, Parameter], its: Mapping[str, Any]
) -> None:
    """Raise ValueError if parameters are not those of the run."""
    with importing:
        from annarchy_tb.run.info import as_json  # slow to import

    differ = _differences(as_json(params), its)
    if differ:
        raise ValueError(
            f"{method}(params): the parameters must be those of the run, got {differ}; "
            f"take another experiment, or start the run over: mode='w'"
        )


def _differences(mine: Mapping[str, Any], its: Mapping[str, Any]) -> str:
    """Describe how some parameters differ from those of the run."""
    differ = [
        f"{name}={mine[name]!r} (the run has "
        + (f"{its[name]!r})" if name in its else "none)")
        for name in mine
        if name not in its or its[name] != mine[name]
    ] + [f"no {name} (the run has {its[name]!r})" for name in its if name not in mine]
    return ", ".join(differ[:5]) + (", ..." if differ[5:] else "")


def add_metrics(self: Logger, metrics: Mapping[str, SupportsFloat]) -> None:
    """Log the results of the run, shown in the HPARAMS tab.

    Parameters
    ----------
    metrics : dict of str to float
        The results by their names. Each is also logged as a scalar with that tag, one
        step after the tag's last one: a name such as ``"Final/rate"`` keeps it apart
        from a curve ``"rate"``. The table opens with the five metrics that come first
        in the alphabet, capitals first.
    """
    entry, results = _metrics(self._run, "add_metrics", None, metrics)
    if results:
        _write_metrics(entry, results)
        self._info.update(results)


def log_trial(
    self: Logger,
    params: Mapping[str, Any],
    group: str | None,
    about: Mapping[str, Any] | None,
) -> None:
    """Log the parameters of a trial, and enter `about` in run.json."""
    if about is not None:
        self._info.enter_later(trial=dict(about))
    add_parameters(self, params, group=group)


def log_trial_results(
    self: Logger, metrics: Mapping[str, SupportsFloat]
) -> dict[str, float]:
    """Log the results of a trial at its end, and return them as floats."""
    entry, results = _metrics(self._run, "add_metrics", None, metrics)
    _write_metrics(entry, results)
    self._info.enter_later(results)  # so that run.json is written once, at the end
    return results


def _metrics(
    run: RunState,
    method: str,
    label: str | None,
    metrics: Mapping[str, SupportsFloat],
    step: SupportsFloat | None = None,
) -> tuple[Entry, dict[str, float]]:
    """Check metrics; return the entry to write them, and their floats."""
    run.check_open()
    with naming(method, label):
        names = as_names(metrics)
    places = [(run.directory, (name,)) for name in names]
    entry = Entry(
        run, method, label, SCALAR, step, places=places, apart=True, clocked=False
    )
    with entry:
        numbers = entry.numbers(metrics)
    return entry, dict(zip(names, numbers, strict=True))


def _write_metrics(entry: Entry, results: Mapping[str, float]) -> None:
    entry.write_numbers(list(results.values()), watched=False)


def write_table(self: Logger) -> None:
    """Write run.json as a table, at step 0, where it replaces the earlier one.

    (In TensorBoard's fast loader; the slow one shows all of them.)
    """
    self._run.directory.file.append(table_record(self._info.current()))


def table_record(info: RunInfo) -> bytes:
    """Return the record of the run's table."""
    with importing:
        from annarchy_tb.run.table import as_table  # slow to import

    return records.summary([text.encode(RUN_TABLE, as_table(info))], now())


def write_row(
    run: RunState,
    method: str,
    params: Mapping[str, Parameter],
    metrics: Mapping[str, SupportsFloat],
    step: SupportsFloat | None,
) -> None:
    """Write a complete row: parameters, metrics, and the status SUCCESS.

    If the run has a row already, only the metrics are written; of other parameters, a
    warning says that TensorBoard does not show them.
    """
    entry, results = _metrics(run, method, None, metrics, step)
    row = [start_value(params, now()), end_value(SUCCESS, now())]
    if START_TAG in run.directory.ledger:
        path = run.directory.path
        shown = {name: given for name, given in params.items() if is_shown(given)}
        differ = _differences(shown, read(Scan().files(event_files(path))))
        if not differ:
            row = []
        else:
            warn(
                f"{method}: {path} already has parameters, and TensorBoard shows the "
                f"first ones of a run; got {differ}"
            )
    _write_metrics(entry, results)  # with warnings, which may be errors: so first
    for part in row:
        run.append(part)
    run.directory.ledger.note(START_TAG, HPARAMS, 0)


def check_row(
    directory: RunDirectory,
    metrics: Mapping[str, SupportsFloat],
    step: SupportsFloat | None,
) -> None:
    """Raise what `write_row` raises about the metrics of a row in a directory."""
    run = RunState(directory, Clock(TIME_UNIT, None), now())
    _metrics(run, "add_hparams", None, metrics, step)


def write_start(
    run: RunState,
    params: Mapping[str, Parameter],
    start: float,
    group: str | None = None,
) -> None:
    """Write the parameters of a run started at `start`."""
    run.append(start_value(params, start, group))
    run.directory.ledger.note(START_TAG, HPARAMS, 0)


# -- parameters as plain values --------------------------------------------------------


def flatten(
    params: object, its: Mapping[str, Any] | None = None
) -> dict[str, Parameter]:
    """Return parameters as plain Python values under flat names.

    Nested dicts are flattened with ``/``, and NumPy scalars converted to Python's.
    Anything other than a number, bool, str or None becomes a short text. The unit of a
    quantity is in its name, as in ``"tau [ms]"``. If there are parameters of a run,
    `its`, a quantity is converted to the unit that it has there, and a number without a
    unit gets it.

    Raises
    ------
    TypeError
        If `params` is not a mapping.
    ValueError
        If two parameters get the same name, or one contains itself.
    """
    if not isinstance(params, Mapping):
        raise TypeError(f"params must be a dict, got {describe(params)}")
    flat: dict[str, Parameter] = {}
    for key, given in params.items():
        try:
            found = [
                _in_unit(name, leaf, its or {}) for name, leaf in _leaves({key: given})
            ]
        except RecursionError:
            raise ValueError(
                f"the parameter {short(key)} must not contain itself, nor be nested "
                f"very deeply; got {describe(given)}"
            ) from None
        for name, plain in found:
            if name in flat:
                raise ValueError(f"params must have distinct names, got {name!r} twice")
            flat[name] = plain
    return flat


def _leaves(params: Mapping[object, object]) -> Iterator[tuple[str, object]]:
    for name, given in params.items():
        if isinstance(given, Mapping) and given:
            for inner, leaf in _leaves(given):
                yield f"{name}/{inner}", leaf
        else:
            yield str(name), given


def _in_unit(name: str, given: object, its: Mapping[str, Any]) -> tuple[str, Parameter]:
    """Return the name and the plain value of a parameter, with its unit in the name."""
    known = None if name in its else unit_in(name, its)
    try:
        plain, unit = separate(given)
        if unit is not None and known not in (None, unit):
            with contextlib.suppress(TypeError):  # they are not the same
                plain, unit = separate(given, known)
    except TypeError:  # a list of different quantities, for example
        return name, _plain(given)
    unit = unit or known
    if unit is not None and not name.endswith((f"[{unit}]", f"({unit})")):
        name = f"{name} [{unit}]"
    return name, _plain(plain)


def unit_in(name: str, its: Mapping[str, Any]) -> str | None:
    """Return the unit that a parameter has in those of a run, if there is only one."""
    found = [one for one in its if one.startswith(f"{name} [") and one.endswith("]")]
    return found[0][len(name) + 2 : -1] if len(found) == 1 else None


def _plain(given: object) -> Parameter:
    if is_quantity(given):  # one of several
        number, unit = separate(given)
        given = f"{_plain(number)} {unit}" if unit else number
    if shape_of(given) == ():
        with contextlib.suppress(Refused):
            given = as_numpy(given)
        if isinstance(given, np.ndarray):
            given = given[()]  # a NumPy scalar: item() would widen it
    if isinstance(given, np.generic):
        its = number_type(given.dtype)
        if its is not None and its.name in ("float16", "float32"):
            return _shortest(given)
        given = given.item()
    if isinstance(given, enum.Enum) and isinstance(given, (int, float, str)):
        given = given.value
    if given is None or isinstance(given, bool):
        return given
    if isinstance(given, int):
        return int(given) if abs(given) < 2**1023 else f"{given:#x}"
    if isinstance(given, (float, np.floating)):
        return float(given)
    return str.__str__(given) if isinstance(given, str) else _text(given)


def _shortest(number: np.generic[Any]) -> float:
    """Return the shortest number that is this one in its own precision.

    It is 0.1, not 0.10000000149011612, the nearest one in single precision.
    """
    exact: float = number.item()
    with np.errstate(over="ignore"):
        for digits in range(1, 9):
            rounded = float(f"{exact:.{digits}g}")
            if type(number)(rounded) == number:
                return rounded
    return exact


def _text(given: object) -> str:
    """Return a short text for an object that is neither a number nor a text."""
    if isinstance(given, (list, tuple, set, frozenset)):
        items = [str(_plain(item)) for item in given]
        if isinstance(given, list):
            return f"[{', '.join(items)}]"
        if isinstance(given, tuple):
            return f"({', '.join(items)})"
        return f"{{{', '.join(sorted(items))}}}"
    if isinstance(given, np.ndarray):
        return np.array2string(given, separator=", ", threshold=100)
    if callable(given) and hasattr(given, "__name__"):
        return str(given.__name__)
    return re.sub(r" at 0x[0-9a-fA-F]+", "", str(given))


# -- the records of the HPARAMS tab ----------------------------------------------------


def start_value(
    params: Mapping[str, Parameter], start: float, group: str | None = None
) -> Parts:
    """Return the summary value that makes the run's row, with its parameters.

    None and values that are not finite are left out: a single one would turn the
    column of all runs into text, or break its interval. Runs of a group share a row.
    """
    message = double_field(5, start) + (text_field(4, group) if group else b"")
    for name, parameter in params.items():
        if isinstance(parameter, bool):
            encoded = varint_field(4, parameter)
        elif isinstance(parameter, str):
            encoded = text_field(3, parameter)
        elif parameter is not None and is_shown(parameter):
            encoded = double_field(2, parameter)
        else:
            continue
        message += bytes_field(1, text_field(1, name) + bytes_field(2, encoded))
    return _hparams_value(START_TAG, bytes_field(3, message))


def is_shown(parameter: Parameter) -> bool:
    """Return whether a parameter has a cell in the HPARAMS tab."""
    return isinstance(parameter, str) or (
        parameter is not None and math.isfinite(parameter)
    )


def end_value(status: int, end: float) -> Parts:
    """Return the summary value with the final status of the run."""
    message = varint_field(1, status) + double_field(2, end)
    return _hparams_value(END_TAG, bytes_field(4, message))


def _hparams_value(tag: str, content: bytes) -> Parts:
    return value(tag, bytes_field(METADATA, plugin(HPARAMS, content)))


# -- reading back ----------------------------------------------------------------------


def read(blocks: Iterable[Block]) -> dict[str, Parameter]:
    """Return the parameters in event files, the first set of them."""
    for block in blocks:
        for _, event in block.others:
            for its in event.values:
                if its.tag == START_TAG and its.kind == HPARAMS:
                    return decode(its)
    return {}


def decode(start: Value) -> dict[str, Parameter]:
    """Return the parameters in a value that makes a run's row."""
    return dict(_parameters(last_field(start.raw, 3)))


def _parameters(start: bytes) -> Iterator[tuple[str, Parameter]]:
    """Yield the names and values in the message of a session's start."""
    for field, entry in fields(start):
        if field == 1 and isinstance(entry, bytes):
            name = last_field(entry, 1).decode(errors="replace")
            for kind, raw in fields(last_field(entry, 2)):
                if kind == 2 and isinstance(raw, bytes):
                    yield name, float(DOUBLE.unpack(raw)[0])
                elif kind == 3 and isinstance(raw, bytes):
                    yield name, raw.decode(errors="replace")
                elif kind == 4:
                    yield name, bool(raw)
