"""Sources that are logged as pictures; the hooks' own tests sample them."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from conftest import points, scalars

from annarchy_tb import Logger, Run
from annarchy_tb.hooks import image, matrix, raster
from annarchy_tb.hooks.sampling import Sampler, checked, function
from annarchy_tb.kinds import colours


def sampler(logger: Logger, sources: dict[str, Any]) -> Sampler:
    """Return what a hook makes of sources that are functions without arguments."""
    reads = checked(logger, sources, lambda _, source: function(source), "a callable")
    return Sampler(logger, reads)


def test_a_source_is_logged_as_it_says(logger: Logger) -> None:
    """From the first value on, and beside sources of other kinds."""
    field = np.array([[0.0, 0.5], [1.0, 2.0]])
    now = [0]
    sample = sampler(
        logger,
        {
            "Spikes": raster(
                lambda: ([now[0] + 5], [2]),
                start=lambda: now[0],
                duration=10,
                groups={"a": 2, "b": 1},
            ),
            "Weights": matrix(lambda: field, cmap="gray"),
            "Field": image(lambda: field, vmin=0, vmax=2, cmap="viridis"),
            "Equalized": image(lambda: field, equalize=True),
            "number": lambda: now[0],
            "histogram": lambda: field,
        },
    )
    for number in range(3):
        now[0] = 10 * number
        sample(number)
    run = logger.run_dir
    assert scalars(run, "number") == [(0, 0), (1, 10), (2, 20)]
    steps, spikes, *_ = Run(run).spikes("Spikes")
    assert steps.tolist() == [0, 1, 2]
    assert [times.tolist() for times, _ in spikes] == [[5], [15], [25]]
    logger.add_raster(
        "wanted", ([25], [2]), start=20, duration=10, groups={"a": 2, "b": 1}
    )
    logger.add_matrix("wanted", field, cmap="gray")
    drawn = [point.pixels for point in points(run, "wanted")]
    assert (points(run, "Spikes")[2].pixels == drawn[0]).all()
    assert (points(run, "Weights")[2].pixels == drawn[1]).all()
    levels = [[0, 64], [128, 255]]
    for point in points(run, "Field"):
        assert (point.pixels == colours.named("viridis")[levels]).all()
    assert points(run, "Equalized")[0].pixels.tolist() == levels
    assert len(points(run, "histogram")) == 3


@pytest.mark.parametrize(
    ("make", "value", "message"),
    [
        (image, None, r"add_image\('a'\): img must be an array of numbers, got None"),
        (image, np.zeros(9), r"add_image\('a'\): img must have shape .*got \(9,\)"),
        (matrix, "text", r"add_matrix\('a'\): .*got 'text'"),
        (raster, 3.0, r"add_raster\('a'\): spikes must .*got 3.0"),
    ],
)
def test_a_value_that_cannot_be_drawn_is_refused(
    logger: Logger, make: Callable[..., Any], value: object, message: str
) -> None:
    """The error names the hook, the method and the tag; the next value is drawn."""
    values = [value, {"raster": {0: [1]}}.get(make.__name__, np.ones((2, 2)))]
    sample = sampler(logger, {"a": make(lambda: values.pop(0)), "b": lambda: 1})
    with pytest.raises((TypeError, ValueError), match=rf"^sample\('a'\): {message}"):
        sample(0)
    assert points(logger.run_dir, "a") == []
    sample(1)
    assert [point.step for point in points(logger.run_dir, "a")] == [1]


def test_a_histogram_that_cannot_be_drawn_is_refused_alike(logger: Logger) -> None:
    """So is everything that a hook logs."""
    values = [[1, 2], "text"]
    sample = sampler(logger, {"a": lambda: values.pop(0)})
    sample(0)
    with pytest.raises(TypeError, match=r"^sample\('a'\): add_histogram\('a'\): "):
        sample(1)


@pytest.mark.parametrize("part", ["source", "start"])
def test_an_error_of_a_source_comes_before_all_is_logged(
    logger: Logger, part: str
) -> None:
    """It propagates as it is, and nothing of the sample is written."""
    spikes: dict[str, Callable[[], Any]] = {
        "source": lambda: {0: [1]},
        "start": lambda: 0,
    }
    spikes[part] = lambda: 1 / 0
    sources = {"a": lambda: 1, "b": raster(spikes["source"], start=spikes["start"])}
    with pytest.raises(ZeroDivisionError):
        sampler(logger, sources)(0)
    assert points(logger.run_dir, "a") == points(logger.run_dir, "b") == []


@pytest.mark.parametrize(
    ("make", "options", "message"),
    [
        (image, {"colour": "red"}, "unexpected keyword argument 'colour'"),
        (raster, {"vmin": 0}, "unexpected keyword argument 'vmin'"),
        (matrix, {"equalize": True}, "unexpected keyword argument 'equalize'"),
        (image, {"vmin": 1, "vmax": 1}, "image: vmin must be less than vmax"),
        (matrix, {"vmin": 2, "vmax": 1}, "matrix: vmin must be less than vmax"),
        (image, {"vmin": np.nan}, "image: vmin must be one finite number"),
        (image, {"vmin": 0, "equalize": True}, "image: vmin fixes the range"),
        (image, {"cmap": "none"}, "image: cmap must be the name of a colour map"),
        (matrix, {"cmap": 3}, "matrix: cmap must be a name"),
        (raster, {"bins": 0}, "raster: bins must be a whole number"),
        (raster, {"start": "now"}, "raster: start must be"),
        (raster, {"duration": np.inf}, "raster: duration must be one finite number"),
        (raster, {"duration": -1}, "raster: duration must be more than 0, got -1"),
        (raster, {"groups": {"a": 0}}, "raster: the size of group 'a' must be"),
        (raster, {"groups": ["a"]}, "raster: groups must be a dict"),
    ],
)
def test_bad_options_are_refused_at_once(
    make: Callable[..., Any], options: dict[str, Any], message: str
) -> None:
    """At the user's line, before anything is simulated."""
    with pytest.raises((TypeError, ValueError), match=message):
        make(lambda: None, **options)


def test_what_depends_on_the_data_is_left_to_the_sample(logger: Logger) -> None:
    """Units of the values, and groups that end with the neurons."""
    u = pytest.importorskip("pint").UnitRegistry()
    sample = sampler(
        logger,
        {
            "Field": image(
                lambda: np.array([[-70, -60, -50]]) * u.mV,
                vmin=-70 * u.mV,
                vmax=-0.05 * u.V,
            ),
            "Spikes": raster(
                lambda: np.eye(4, dtype=bool), groups={"last": slice(2, None)}
            ),
        },
    )
    sample(0)
    assert points(logger.run_dir, "Field")[0].pixels.tolist() == [[0, 128, 255]]
    assert len(points(logger.run_dir, "Spikes")) == 1


def test_what_is_no_source_is_refused_in_a_picture_too(logger: Logger) -> None:
    """The error is that of the hook, about the source itself."""
    for given in (np.zeros((2, 2)), image(lambda: 1)):
        with pytest.raises(TypeError, match=r"^sample\('a'\): the source must be a c"):
            sampler(logger, {"a": image(given)})


@pytest.mark.parametrize("make", [image, matrix, raster])
def test_the_options_are_those_of_the_logger(make: Callable[..., Any]) -> None:
    """With the same defaults; only the tag, the step and the time are the hook's."""
    wanted = inspect.signature(getattr(Logger, f"add_{make.__name__}")).parameters
    found = inspect.signature(make).parameters
    of_the_hook = {"self", "tag", "step", "time", "img", "matrix", "spikes"}
    assert {name: its.default for name, its in found.items() if name != "source"} == {
        name: its.default for name, its in wanted.items() if name not in of_the_hook
    }
    own = {"start"}  # may be a callable here
    assert all(
        its.annotation == wanted[name].annotation
        for name, its in found.items()
        if name not in {"source", *own}
    )
