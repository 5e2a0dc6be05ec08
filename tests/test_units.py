"""Quantities of pint, astropy and unyt; those of Brian2 and OpenMM are in hooks/."""

from __future__ import annotations

import errno
import os
import pickle
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import in_child, load, points, scalars
from hypothesis import given
from hypothesis import strategies as st

from annarchy_tb import Logger, Run, find_runs
from annarchy_tb.inputs.units import said, separate
from annarchy_tb.sweep.trials import Settings, attempt

Make = Callable[..., Any]  # takes numbers and the text of a unit


def _pint() -> Make:
    registry = pytest.importorskip("pint").UnitRegistry()
    return lambda number, unit: registry.Quantity(number, unit)


def _astropy() -> Make:
    units = pytest.importorskip("astropy.units")
    return lambda number, unit: units.Quantity(number, unit)


def _unyt() -> Make:
    unyt = pytest.importorskip("unyt")
    return lambda number, unit: (
        unyt.unyt_quantity(number, unit or "dimensionless")
        if np.ndim(number) == 0
        else unyt.unyt_array(number, unit or "dimensionless")
    )


def _quantities() -> Make:
    quantities = pytest.importorskip("quantities", reason="needs neo")
    return lambda number, unit: quantities.Quantity(number, unit or "dimensionless")


@pytest.fixture(
    params=[_pint, _astropy, _unyt, _quantities],
    ids=["pint", "astropy", "unyt", "quantities"],
)
def q(request: pytest.FixtureRequest) -> Make:
    """Return what makes quantities of each package."""
    make: Make = request.param()
    return make


def texts(run: Path, tag: str) -> list[str]:
    """Return the descriptions of a tag's points."""
    return [p.proto.metadata.summary_description for p in points(run, tag)]


def units(logger: Logger) -> dict[str, str]:
    """Return the units that run.json has now."""
    found: dict[str, str] = Run(logger.run_dir).info["units"]
    return found


# -- times -----------------------------------------------------------------------------


def test_times_are_converted(q: Make, logdir: Path) -> None:
    """One or many, in any unit of time, and the time step."""
    with Logger(logdir, "run", dt=q(100, "us")) as logger:
        logger.add_scalar("a", 1.0, time=q(5, "ms"))
        logger.add_scalar("a", 2.0, time=q(0.5, "s"))
        logger.log({"b": 1.0}, time=q(1, "min"))
        logger.add_scalars("c", {"x": 1.0}, time=q(np.array(2.0), "ms"))
        logger.add_histogram("d", [1.0], time=q(np.array([3.0]), "ms"))
        logger.add_series("e", [1, 2], times=q([5, 6], "s"))
        logger.add_series("f", [1, 2], times=[q(5, "ms"), q(0.006, "s")])
    run = Run(logger.run_dir)
    assert run.scalars("a").times.tolist() == [5, 500]
    assert run.scalars("a").steps.tolist() == [50, 5000]
    assert run.scalars("b").times.tolist() == [60_000]
    assert run.curves("c")["x"].times.tolist() == [2]
    assert run.histograms("d").times.tolist() == [3]
    assert run.scalars("e").times.tolist() == [5000, 6000]
    assert run.scalars("f").times.tolist() == pytest.approx([5, 6])
    assert run.info["dt"] == pytest.approx(0.1)
    assert run.info["units"] == {}


@pytest.mark.parametrize("unit", ["fs", "ps", "ns", "us", "ms", "s", "min", "h", "d"])
def test_times_have_any_unit_of_the_logger(q: Make, unit: str, logdir: Path) -> None:
    """Whichever of them a package knows."""
    with Logger(logdir, "run", time_unit=unit, dt=q(1, "s")) as logger:
        logger.add_scalar("a", 1.0, time=q(60, "s"))
    seconds = {"d": 86400, "h": 3600, "min": 60, "ms": 1e-3, "us": 1e-6, "ns": 1e-9}
    seconds |= {"ps": 1e-12, "fs": 1e-15, "s": 1}
    found = Run(logger.run_dir).scalars("a")
    assert found.times.tolist() == pytest.approx([60 / seconds[unit]])
    assert found.steps.tolist() == [60]


def test_the_clock_may_give_times_with_units(q: Make, logdir: Path) -> None:
    """New tags and known ones."""
    now = iter([1, 2, 3])
    with Logger(logdir, "run", clock=lambda: q(next(now), "s")) as logger:
        for value in range(3):
            logger.add_scalar("a", value)
    assert Run(logger.run_dir).scalars("a").times.tolist() == [1000, 2000, 3000]


def test_a_time_step_fits_the_unit_of_the_run(q: Make, logdir: Path) -> None:
    """If a run that exists counts in seconds, so does the time step."""
    with Logger(logdir, "run", time_unit="s", dt=q(5, "ms")) as logger:
        logger.add_scalar("a", 1.0, time=q(10, "ms"))
    with Logger(logdir, "run", mode="a", dt=q(0.005, "s")) as logger:
        logger.add_scalar("a", 1.0, time=q(20, "ms"))
    assert Run(logger.run_dir).scalars("a").steps.tolist() == [2, 4]
    with pytest.raises(ValueError, match=r"dt must be that of the run, 0\.005, got 5"):
        Logger(logdir, "run", mode="a", dt=q(5, "s"))
    with pytest.raises(TypeError, match=r"Logger: dt must be a time: in ms, .* 5\S* K"):
        Logger(logdir, "other", dt=q(5, "K"))
    assert not (logdir / "other").exists()


def test_spikes_have_times_with_units(q: Make, logger: Logger) -> None:
    """As pairs and dicts, and so may the limits of their axis."""
    times, ranks = q([5, 10, 20], "s"), [0, 1, 1]
    logger.add_raster("pair", (times, ranks), start=q(1, "s"), duration=20_000)
    logger.add_raster("dict", {0: q([5], "s"), 1: [q(10, "s"), q(20, "s")], 2: []})
    for tag in ("pair", "dict"):
        [(when, whose)] = Run(logger.run_dir).spikes(tag).spikes
        assert (when.tolist(), whose.tolist()) == ([5000, 10_000, 20_000], ranks)
    with pytest.raises(TypeError, match=r"start must be a number without a unit"):
        logger.add_raster("steps", {0: [1, 2]}, start=q(5, "ms"))
    with pytest.raises(TypeError, match=r"neuron 1 must have a unit, as others do"):
        logger.add_raster("both", {0: q([5], "s"), 1: [10]})


def test_matrices_are_kept_in_the_unit_of_their_tag(q: Make, logger: Logger) -> None:
    """That of the first one, to which others are converted."""
    logger.add_matrix("w", q([[1.0, 2.0]], "mV"))
    logger.add_matrix("w", q([[1.0, 2.0]], "V"))
    first, last = Run(logger.run_dir).matrices("w").matrices
    assert first.tolist() == [[1, 2]]
    np.testing.assert_allclose(last, [[1000, 2000]])


# -- values ----------------------------------------------------------------------------


def test_the_first_value_sets_the_unit(q: Make, logger: Logger) -> None:
    """Later ones are converted, plain ones count as in it; run.json has it at once."""
    logger.add_scalar("v", q(5, "km"))
    assert units(logger) == {"v": "km"}
    logger.add_scalar("v", 6.0)
    logger.add_scalar("v", q(500, "m"))
    logger.log({"v": q(8, "km")})
    logger.log({"v": q([9], "km"), "w": q(1, "s"), "x": 3})
    assert scalars(logger.run_dir, "v") == [(0, 5), (1, 6), (2, 0.5), (3, 8), (4, 9)]
    assert texts(logger.run_dir, "v") == ["in km", "", "", "", ""]
    assert texts(logger.run_dir, "x") == [""]
    assert units(logger) == {"v": "km", "w": "s"}
    assert Run(logger.run_dir).scalars("v").values.tolist() == [5, 6, 0.5, 8, 9]


def test_a_quantity_after_plain_numbers_is_refused(q: Make, logger: Logger) -> None:
    """Nobody knows their unit; nothing is written or remembered."""
    logger.add_scalar("v", 5.0)
    logger.log({"a": 1, "b": 2})
    logger.add_histogram("h", [1.0])
    logger.add_scalars("plot", {"x": 1.0})
    before = len(load(logger.run_dir))
    message = r"\('v'\): the earlier values of 'v' have no unit, .*got 5\S* ms; divide"
    with pytest.raises(TypeError, match=rf"add_scalar{message}"):
        logger.add_scalar("v", q(5, "ms"))
    for call in (
        lambda: logger.log({"a": q(5, "ms"), "b": 1}),
        lambda: logger.add_histogram("h", q([5, 6], "ms")),
        lambda: logger.add_scalars("plot", {"y": q(5, "ms")}),
        lambda: logger.add_scalars("new", {"x": 1.0, "y": q(5, "ms")}),
        lambda: logger.add_series(["v", "a"], q([[5, 6]], "ms")),
        lambda: logger.add_metrics({"v": q(5, "ms")}),
        lambda: logger.window("v").add(q(5, "ms")),
    ):
        with pytest.raises(TypeError, match="have no unit"):
            call()
    assert len(load(logger.run_dir)) == before
    assert units(logger) == {}


def test_what_can_not_be_converted_is_refused(q: Make, logger: Logger) -> None:
    """The error names the unit, and what was given; nothing is spent."""
    logger.add_scalar("v", q(5, "ms"))
    for call in (
        lambda: logger.add_scalar("v", q(5, "K")),
        lambda: logger.add_series("v", q([5.0], "K")),
        lambda: logger.add_scalar("new", 5.0, time=q(5, "K")),
        lambda: logger.add_scalar("new", [q(5, "K"), 5.0]),
        lambda: logger.add_histogram("new", [q(5, "K"), q(5, "ms")]),
        lambda: logger.add_histogram("new", [[q(5, "K")], [5.0]]),
        lambda: logger.add_scalar("new", 5.0, q(5, "ms")),
        lambda: logger.add_series("new", [5.0], q([5], "ms")),
        lambda: logger.add_audio("new", q([0.5], "V")),
        lambda: logger.add_matrix("new", ([0], q([1], "m"), [1.0])),
        lambda: logger.window("new").add(1.0, q(5, "ms")),
        lambda: logger.save_checkpoint(None, q(5, "ms")),
    ):
        with pytest.raises(TypeError, match=r"5|0\.5|1"):
            call()
    with pytest.raises(
        TypeError, match=r"add_scalar\('v'\): value must be in ms, .* K"
    ):
        logger.add_scalar("v", q(5, "K"))
    with pytest.raises(
        TypeError, match=r"step must .*unit.*pass simulated time as time"
    ):
        logger.add_scalar("v", 5.0, q(5, "ms"))
    assert {point.tag for point in load(logger.run_dir)} == {"v"}
    assert units(logger) == {"v": "ms"}


def test_every_kind_takes_quantities(q: Make, logger: Logger) -> None:
    """In the unit of their tag, in all shapes, and in lists."""
    logger.add_histogram("h", [[q(1, "m")], [q(2, "m"), q(300, "cm")]])
    logger.add_histogram("h", {"a": q(4, "m"), "b": q([5, 6], "m")})
    logger.add_image("i", q([[0.0, 0.5]], "m"))
    logger.add_images("j", q(np.ones((2, 2, 2)), "m"))
    logger.add_matrix("k", q([[1.0, 2.0]], "m"))
    logger.add_matrix("l", ([0, 1], [1, 0], q([1.0, 2.0], "m")))
    logger.add_matrix("m", (q(1.0, "m"), [[0]]))
    logger.add_scalars("n", {"a": q(1, "m"), "b": q(200, "cm"), "c": 3})
    logger.add_metrics({"o": q(5, "m")})
    with logger.window(["p", "r"]) as window:
        window.add({"p": q(1, "m"), "r": 1})
        window.add({"p": q(300, "cm"), "r": 2}, time=q(5, "s"))
    run = Run(logger.run_dir)
    first, second = run.histograms("h").histograms
    assert (first[0, 0], first[-1, 1]) == (1, 3)
    assert (second[0, 0], second[-1, 1]) == (4, 6)
    assert run.images("i").images[0].ravel().tolist() == [0, 128]
    curves = {key: its.values.tolist() for key, its in run.curves("n").items()}
    assert curves == {"a": [1], "b": [2], "c": [3]}
    assert texts(logger.run_dir / "c", "n") == ["in m"]
    assert run.scalars("p").values.tolist() == [2]
    assert run.scalars("p").times.tolist() == [5000]
    assert run.metrics == {"o": 5}
    assert units(logger) == dict.fromkeys("hijklmnop", "m")
    for tag in "hijklmop":
        assert texts(logger.run_dir, tag)[0] == "in m"


def test_a_window_does_not_mix_numbers_and_quantities(q: Make, logger: Logger) -> None:
    """A quantity after plain numbers that it still holds is refused, and not added."""
    window = logger.window("v")
    window.add(1.0)
    with pytest.raises(TypeError, match=r"window.add\('v'\): .*have no unit"):
        window.add(q(5, "ms"))
    assert len(window) == 1
    window.flush()
    assert scalars(logger.run_dir, "v") == [(0, 1)]


def test_columns_of_a_series_have_the_units_of_their_tags(
    q: Make, logger: Logger
) -> None:
    """Each is converted to its own; a new one gets that of the values."""
    logger.add_scalar("a", q(1, "km"), 0)
    logger.add_scalar("b", q(1, "cm"), 0)
    logger.add_series(["a", "b", "c"], q([[1000, 2, 3], [4, 5, 6]], "m"), [1, 2])
    logger.add_series(["a", "b"], [[7, 8]], [3])
    logger.add_series("c", [q(9, "m"), q(1, "km")], [3, 4])
    run = Run(logger.run_dir)
    assert run.scalars("a").values.tolist() == pytest.approx([1, 1, 0.004, 7])
    assert run.scalars("b").values.tolist() == pytest.approx([1, 200, 500, 8])
    assert run.scalars("c").values.tolist() == [3, 6, 9, 1000]
    assert units(logger) == {"a": "km", "b": "cm", "c": "m"}
    logger.add_scalar("d", q(1, "percent"), 0)
    logger.add_series(["d", "e"], q([[0.5, 0.5]], ""), [1])
    assert logger.last["d"] == 50
    assert logger.last["e"] == 0.5


@pytest.mark.parametrize("dtype", [np.int16, np.float32, np.float64])
def test_a_series_keeps_its_type(q: Make, dtype: Any, logger: Logger) -> None:
    """In the unit of the tag, nothing is converted: every bit is kept."""
    values = np.arange(5).astype(dtype)
    quantity = q(values, "m")
    if hasattr(quantity, "astype"):
        quantity = quantity.astype(dtype)  # astropy makes doubles
    logger.add_series("v", quantity)
    found = Run(logger.run_dir).scalars("v").values
    assert found.dtype == dtype
    assert found.tobytes() == values.tobytes()


def test_without_a_dimension_a_quantity_is_a_number(q: Make, logger: Logger) -> None:
    """Percent is a unit of its own."""
    logger.add_scalar("a", 1.0)
    logger.add_scalar("a", q(2.0, ""), q(5, ""))
    logger.add_scalar("b", q(50, "percent"))
    logger.add_scalar("b", q(0.25, ""))
    logger.add_histogram("c", [q(1, ""), 2.0])
    assert scalars(logger.run_dir, "a") == [(0, 1), (5, 2)]
    assert scalars(logger.run_dir, "b") == [(0, 50), (1, 25)]
    assert units(logger) == {"b": "%"}
    with pytest.raises(TypeError, match="the earlier values of 'a' have no unit"):
        logger.add_scalar("a", q(50, "percent"))


def test_nan_is_watched_for(q: Make, logger: Logger) -> None:
    """As that of a plain number."""
    with pytest.warns(UserWarning, match=r"add_scalar\('v'\): the value is nan"):
        logger.add_scalar("v", q(np.nan, "m"))
    assert units(logger) == {"v": "m"}


def test_temperatures_are_converted_right_or_refused() -> None:
    """An offset is not forgotten, and differences are no temperatures."""
    make = _pint()
    assert separate(make(20, "degC")) == (20, "°C")
    assert separate(make(300, "K"), "°C")[0] == pytest.approx(26.85)
    assert separate(make(20, "degC"), "K")[0] == pytest.approx(293.15)
    with pytest.raises(TypeError, match="must be in °C"):
        separate(make(5, "delta_degC"), "°C")
    make = _unyt()
    assert separate(make(300.0, "K"), "°C")[0] == pytest.approx(26.85)
    make = _astropy()
    with pytest.raises(TypeError, match="must be in K"):
        separate(make(20, "deg_C"), "K")


def test_a_unit_is_a_text_that_its_package_reads(q: Make) -> None:
    """So another process can go on in it."""
    for unit in ("um", "kJ/mol", "m**2/s**2", "1/s", "degC", "percent"):
        try:
            quantity = q(2.0, unit)
        except (ValueError, LookupError):  # astropy says deg_C, Neo kJ/mol otherwise
            continue
        _, text = separate(quantity)
        assert "*" not in text.replace("^", "") or unit not in text
        other = separate(q(2.0, unit), text)
        assert (float(other[0]), other[1]) == (2.0, text)


@given(st.lists(st.floats(allow_nan=False), max_size=5))
def test_plain_numbers_stay_as_they_are(numbers: list[float]) -> None:
    """They are not even copied."""
    for data in (numbers, np.array(numbers), tuple(numbers), [numbers, numbers]):
        assert separate(data)[0] is data
        assert separate(data, "mV") == (data, None)


# -- descriptions ----------------------------------------------------------------------


def test_a_description_that_says_the_unit_is_enough(q: Make, logger: Logger) -> None:
    """Otherwise the unit is added."""
    logger.describe("a", "potential (mV)")
    logger.describe("b", "potential in mV/ms")
    for tag in "abc":
        logger.add_scalar(tag, q(5.0, "mV"))
    assert texts(logger.run_dir, "a") == ["potential (mV)"]
    assert texts(logger.run_dir, "b") == ["potential in mV/ms\n\nin mV"]
    assert texts(logger.run_dir, "c") == ["in mV"]
    assert said("", None) == ""


def test_a_series_says_its_unit_in_its_first_event(q: Make, logger: Logger) -> None:
    """So does one that is thinned out."""
    logger.add_series("v", q(np.arange(3000.0), "mV"))
    found = texts(logger.run_dir, "v")
    assert found[0] == "in mV"
    assert not any(found[1:])


# -- processes and sessions ------------------------------------------------------------


def test_units_are_kept_when_a_run_goes_on(q: Make, logdir: Path) -> None:
    """Appended to, resumed, branched from; and cut with the data of a checkpoint."""
    with Logger(logdir, "run") as logger:
        logger.add_scalar("v", q(5, "km"))
        logger.save_checkpoint(None, 0)
        logger.add_scalar("later", 5.0)
    with Logger(logdir, "run", mode="a") as logger:
        logger.add_scalar("v", q(500, "m"))
    assert scalars(logger.run_dir, "v") == [(0, 5), (1, 0.5)]
    with Logger(logdir, "branch", resume=logger.run_dir) as branch:
        branch.add_scalar("v", q(500, "m"))
    assert scalars(branch.run_dir, "v") == [(1, 0.5)]
    assert texts(branch.run_dir, "v") == ["in km"]
    with (
        Logger(logdir, "run", mode="a") as logger,
        pytest.raises(TypeError, match="earlier values of 'later' have no unit"),
    ):
        logger.add_scalar("later", q(5, "km"))
    with Logger(logdir, "run", resume=True) as logger:
        logger.add_scalar("later", q(7, "m"))
        logger.add_scalar("v", q(250, "m"))
    assert scalars(logger.run_dir, "v") == [(0, 5), (1, 0.25)]
    assert units(logger) == {"v": "km", "later": "m"}
    with Logger(logdir, "run", mode="w") as logger:
        logger.add_scalar("v", q(7, "m"))
    assert units(logger) == {"v": "m"}


def test_forks_and_copies_share_units(q: Make, logger: Logger) -> None:
    """Also those that another process has set since."""
    other: Logger = pickle.loads(pickle.dumps(logger))

    def work() -> None:
        logger.add_scalar("v", q(5, "km"))
        logger.close()

    assert in_child(work) == 0
    logger.add_scalar("v", q(500, "m"), 1)
    other.add_scalar("v", q(250, "m"), 2)
    other.close()
    assert sorted(scalars(logger.run_dir, "v")) == [(0, 5), (1, 0.5), (2, 0.25)]
    assert units(logger) == {"v": "km"}


def test_a_unit_that_another_process_has_just_set_stays(
    q: Make, logger: Logger, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The call that came too late is refused; repeated, it is converted."""
    logger.add_scalar("other", 1.0)
    run = logger._run
    share: Any = run.share_units

    def late(found: dict[str, str]) -> Any:
        if found:
            share({"v": "km"})  # what another process does in between
        return share(found)

    monkeypatch.setattr(run, "share_units", late)
    with pytest.raises(
        ValueError, match=r"add_scalar\('v'\): another process .* in km"
    ):
        logger.add_scalar("v", q(500, "m"))
    logger.add_scalar("v", q(500, "m"))
    assert scalars(logger.run_dir, "v") == [(0, 0.5)]


def test_a_killed_process_leaves_the_unit(q: Make, logdir: Path) -> None:
    """It is in run.json before the first value is in the event file."""

    def work() -> None:
        Logger(logdir, "run").add_scalar("v", q(5, "km"))
        os.kill(os.getpid(), 9)

    in_child(work)
    with Logger(logdir, "run", mode="a") as logger:
        logger.add_scalar("v", q(500, "m"))
    assert scalars(logger.run_dir, "v") == [(0, 5), (1, 0.5)]


@pytest.mark.parametrize("mode", ["x", "a"])
def test_a_full_disk_does_not_stop_quantities(
    mode: Any, logdir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The record waits, the unit is known, and run.json has it once there is room."""
    make = _pint()
    with Logger(logdir, "run") as logger:
        logger.add_scalar("old", 1.0)
    name = "new" if mode == "x" else "run"
    replace = Path.replace

    def full(*_: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with Logger(logdir, name, mode=mode) as logger:
        logger.add_scalar("old", 2.0)
        monkeypatch.setattr(Path, "replace", full)
        with pytest.warns(UserWarning, match=r"run.json can't be written"):
            logger.add_scalar("v", make(5, "km"))
        logger.add_scalar("v", make(500, "m"))
        monkeypatch.setattr(Path, "replace", replace)
    assert scalars(logger.run_dir, "v") == [(0, 5), (1, 0.5)]
    assert units(logger) == {"v": "km"}


def test_a_record_that_was_edited_is_no_obstacle(logdir: Path) -> None:
    """What is no text is no unit."""
    make = _pint()
    with Logger(logdir, "run") as logger:
        logger.add_text("t", "a")
    path = logger.run_dir / "run.json"
    path.write_text(path.read_text().replace('"units": {}', '"units": {"v": 5}'))
    with Logger(logdir, "run", mode="a") as logger:
        logger.add_scalar("v", 1.0)
    with Logger(logdir, "other") as logger:
        logger.add_scalar("v", make(1, "m"))
    path = logger.run_dir / "run.json"
    path.write_text(path.read_text().replace('"v": "m"', '"v": "nonsense"'))
    with (
        Logger(logdir, "other", mode="a") as logger,
        pytest.raises(TypeError, match="must be in nonsense, .*got 1 m"),
    ):
        logger.add_scalar("v", make(1, "m"))


def test_losses_of_a_sweep_have_no_unit(logdir: Path) -> None:
    """Each trial may have another, and they would be compared as numbers."""
    make = _pint()
    path = logdir / "trial"
    outcome = attempt(lambda *_: make(5, "m"), path, {"a": 1}, Settings())
    assert "loss must be a number without a unit, got 5 m" in outcome.error
    outcome = attempt(
        lambda *_: {"loss": make(5, ""), "error": make(5, "m")},
        logdir / "other",
        {"a": make(1, "m")},
        Settings(dt=make(1, "ms")),
    )
    assert outcome.metrics == {"loss": 5, "error": 5}
    assert Run(logdir / "other").params == {"a [m]": 1}


# -- parameters ------------------------------------------------------------------------


def test_a_parameter_has_its_unit_in_its_name(q: Make, logdir: Path) -> None:
    """It is found without it, too, by numbers and quantities."""
    params = {
        "tau": q(10, "ms"),
        "noise": {"sigma": q(0.5, "m"), "seed": 3},
        "list": [q(1, "m"), q(2, "m")],
        "array": q([1, 2], "m"),
        "mixed": [q(1, "m"), "a"],
        "ratio": q(0.5, ""),
        "named (s)": q(1, "s"),
    }
    with Logger(logdir, "run") as logger:
        logger.add_parameters(params, {"loss": q(3, "m")})
    run = Run(logger.run_dir)
    assert run.params == {
        "tau [ms]": 10,
        "noise/sigma [m]": 0.5,
        "noise/seed": 3,
        "list [m]": run.params["list [m]"],
        "array [m]": run.params["array [m]"],
        "mixed": run.params["mixed"],
        "ratio": 0.5,
        "named (s)": 1,
    }
    assert run.params["mixed"] in ("[1 m, a]", "[1.0 m, a]")
    assert run.params["list [m]"] in ("[1, 2]", "[1.0, 2.0]")
    assert run.info["units"] == {"loss": "m"}

    def found(**params: Any) -> int:
        return len(find_runs(logdir, params=params))

    assert found(tau=10) == found(tau=q(0.01, "s")) == found(tau=q(10, "ms")) == 1
    assert found(noise={"sigma": 0.5}) == found(**{"tau [ms]": 10}) == 1
    assert found(tau=11) == found(tau=q(10, "s")) == found(tau=q(10, "K")) == 0
    assert found(seed=3) == 0


def test_the_parameters_of_a_run_are_given_again(q: Make, logdir: Path) -> None:
    """With their units, without, or in others; but the same."""
    with Logger(logdir, "run") as logger:
        logger.add_parameters({"tau": q(10, "ms"), "n": 3})
    for tau in (10, q(10, "ms"), q(0.01, "s")):
        with Logger(logdir, "run", mode="a") as logger:
            logger.add_parameters({"tau": tau, "n": 3})
    for tau in (11, q(10, "s"), q(10, "K")):
        with (
            Logger(logdir, "run", mode="a") as logger,
            pytest.raises(ValueError, match=r"tau \["),
        ):
            logger.add_parameters({"tau": tau, "n": 3})
    with (
        Logger(logdir, "run", mode="a") as logger,
        pytest.raises(ValueError, match=r"n \[ms\]"),
    ):
        logger.add_parameters({"tau": 10, "n": q(3, "ms")})


# -- imports ---------------------------------------------------------------------------


def test_no_package_is_imported(tmp_path: Path) -> None:
    """Nor is it needed."""
    code = f"""
import sys
from annarchy_tb import Logger
with Logger({str(tmp_path)!r}, "run", dt=0.1) as logger:
    logger.add_scalar("a", 1.0, time=5)
    logger.add_histogram("h", [[1.0], [2.0, 3.0]])
    logger.add_parameters({{"a": [1, 2]}})
assert not {{"pint", "astropy", "unyt", "brian2", "openmm"}} & sys.modules.keys()
"""
    subprocess.run([sys.executable, "-c", code], check=True)
