from __future__ import annotations

import signal
import subprocess
import sys
import tracemalloc
import warnings
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from conftest import Synapses, points
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from pictures import cells_of, says

from annarchy_tb import Logger
from annarchy_tb.inputs.synapses import collect
from annarchy_tb.kinds import canvas, colours, matrix_plot
from annarchy_tb.kinds import matrix as matrices

RNG = np.random.default_rng(0)
ROWS, COLUMNS = 181, 240  # about the room in a picture
NOTHING = list(colours.NOTHING)
SMALLEST, LARGEST = (colours.sequential()[level].tolist() for level in (0, 255))
NEGATIVE, ZERO, POSITIVE = (
    colours.diverging()[level].tolist() for level in (0, 127, 254)
)
WEIGHTS = np.array([[0.5, np.nan, 1.5], [np.nan, 1.0, np.nan]])


def logged(logger: Logger, tag: str = "weights") -> np.ndarray:
    """Return the pixels of the last matrix of a tag."""
    return points(logger.run_dir, tag)[-1].pixels


def drawn(matrix: object, **ends: Any) -> np.ndarray:
    """Return the colours of the cells of a matrix."""
    lows, highs = matrix_plot.reduced(collect(matrix), ROWS, COLUMNS)
    cells = matrix_plot.farthest(lows, highs).astype(float)
    both = np.stack([lows, highs]).astype(float)
    scale = matrix_plot.scale_for(
        both[np.isfinite(both)],
        ends.get("vmin"),
        ends.get("vmax"),
        ends.get("cmap"),
    )
    return matrix_plot.coloured(cells, scale)


class Projection:
    """A stand-in with the attributes of ANNarchy's projections."""

    w = [[0.5, 1.5], [1.0]]  # noqa: RUF012
    pre_ranks = [[0, 2], [1]]  # noqa: RUF012

    post_ranks = [0, 1]  # noqa: RUF012
    post, pre = SimpleNamespace(size=2), SimpleNamespace(size=3)


def test_colours_go_from_the_smallest_to_the_largest(logger: Logger) -> None:
    """Row 0 is at the top, and each square is an entry."""
    logger.add_matrix("weights", [[3.0, 4.0, 5.0], [3.0, 3.0, 4.0]], 7)
    [point] = points(logger.run_dir, "weights")
    assert point.step == 7
    assert point.pixels.shape == (200, 320, 3)
    middle = colours.sequential()[128].tolist()
    wanted = [[SMALLEST, middle, LARGEST], [SMALLEST, SMALLEST, middle]]
    assert cells_of(point.pixels, 2, 3).tolist() == wanted


def test_each_sign_has_a_scale_of_its_own() -> None:
    """0 is white, and weak excitation is seen beside strong inhibition."""
    found = drawn([[-40.0, -20.0, 0.0, 0.5, 1.0]])
    low, high = (colours.diverging()[level].tolist() for level in (64, 190))
    assert found[0, [0, 2, 4]].tolist() == [NEGATIVE, ZERO, POSITIVE]
    assert ZERO == [255, 255, 255]
    for colour, wanted in ((found[0, 1], low), (found[0, 3], high)):
        assert abs(colour.astype(int) - wanted).max() <= 3


@pytest.mark.parametrize(
    ("matrix", "wanted"),
    [
        ([[2.0, 2.0]], [[SMALLEST, SMALLEST]]),
        ([[0.0, 0.0]], [[SMALLEST, SMALLEST]]),
        ([[-2.0, np.nan]], [[NEGATIVE, NOTHING]]),
        ([[-2.0, 0.0]], [[NEGATIVE, ZERO]]),
        ([[np.nan, np.nan]], [[NOTHING, NOTHING]]),
    ],
)
def test_a_constant_is_drawn(matrix: Any, wanted: Any) -> None:
    """There is no division by zero, and no empty range."""
    assert drawn(matrix).tolist() == wanted


def test_what_is_not_there_is_grey(logger: Logger) -> None:
    """NaN and masked entries have a colour that no value has."""
    wanted = [
        [SMALLEST, NOTHING, LARGEST],
        [NOTHING, colours.sequential()[128].tolist(), NOTHING],
    ]
    logger.add_matrix("weights", WEIGHTS)
    assert cells_of(logged(logger), 2, 3).tolist() == wanted
    logger.add_matrix("weights", np.ma.masked_invalid(WEIGHTS))
    assert cells_of(logged(logger), 2, 3).tolist() == wanted
    every = colours.sequential().tolist() + colours.diverging().tolist()
    assert NOTHING not in every


def test_a_fixed_range_gives_a_value_one_colour(logger: Logger) -> None:
    """With vmin and vmax, it has that colour in every picture; others are clipped."""
    colour = drawn([[0.25, 0.5]], vmin=0.0, vmax=1.0)[0, 0].tolist()
    for weights in ([[0.25, 1.0]], [[0.25, -3.0]], [[0.25, 7.0]]):
        assert drawn(weights, vmin=0.0, vmax=1.0)[0, 0].tolist() == colour
    assert drawn([[7.0, -7.0]], vmin=0.0, vmax=1.0).tolist() == [[LARGEST, SMALLEST]]
    assert drawn([[3.0, -3.0]], vmin=-1.0, vmax=5.0)[0, 1].tolist() == NEGATIVE
    logger.add_matrix("weights", [[0.25, 9.0]], vmin=0, vmax=1)
    assert cells_of(logged(logger), 1, 2)[0].tolist() == [colour, LARGEST]


PROCESS = """
import sys
from annarchy_tb import Logger

resume = sys.argv[2] == "resume"
logger = Logger(sys.argv[1], "run", **({"resume": True} if resume else {}))
step = logger.load_checkpoint()[1] if resume else 0
for other in (0.5, 40.0 * (step + 1), -3.0):
    for name, cmap in (("own", None), ("viridis", "viridis")):
        logger.add_matrix(
            name, [[0.25, -0.25, other]], step, vmin=-0.5, vmax=1, cmap=cmap
        )
    step += 1
logger.save_checkpoint({}, step)
logger.flush()
if not resume:
    import os, signal

    logger.add_matrix("own", [[9.0, 9.0, 9.0]], step)
    os.kill(os.getpid(), signal.SIGKILL)
logger.close()
"""


def test_a_value_has_one_colour_in_all_processes(logdir: Path) -> None:
    """With vmin and vmax: also in a run that was killed, and resumed by another one."""
    for how, code in (("new", -signal.SIGKILL), ("resume", 0)):
        command = [sys.executable, "-c", PROCESS, str(logdir), how]
        done = subprocess.run(command, capture_output=True, text=True)
        assert done.returncode == code, done.stderr
    for name in ("own", "viridis"):
        found = points(logdir / "run", name)
        assert [point.step for point in found] == list(range(6))
        shown = [cells_of(point.pixels, 1, 3)[0, :2].tolist() for point in found]
        assert shown == [shown[0]] * 6
        bars = [point.pixels[:, 260:] for point in found]
        assert all((bar == bars[0]).all() for bar in bars)


def test_one_end_may_be_given() -> None:
    """The other one is that of the data; a range may be without any data."""
    assert drawn([[0.0, 2.0]], vmax=4.0)[0, 0].tolist() == SMALLEST
    assert drawn([[1.0, 2.0]], vmin=0.0)[0, 1].tolist() == LARGEST
    assert drawn([[1.0, 2.0]], vmin=3.0).tolist() == [[SMALLEST, SMALLEST]]


def test_a_colour_map_of_matplotlib(logger: Logger) -> None:
    """It goes evenly from the smallest value to the largest, also through 0."""
    import matplotlib

    ends = [
        (np.array(matplotlib.colormaps["viridis"](end)[:3]) * 255) for end in (0.0, 1.0)
    ]
    found = drawn([[-1.0, 3.0]], cmap="viridis")
    assert abs(found[0].astype(float) - ends).max() <= 1
    logger.add_matrix("weights", [[-1.0, 3.0]], cmap="viridis")
    assert (cells_of(logged(logger), 1, 2) == found).all()


@pytest.mark.parametrize("cmap", ["gray", "coolwarm", "RdBu", "viridis"])
def test_nan_has_a_colour_that_no_number_has(cmap: str) -> None:
    """Also in a map of matplotlib that has light grey for numbers."""
    found = drawn([[np.nan, 0.0, 1.0]], cmap=cmap)
    away = abs(colours.named(cmap).astype(int) - found[0, 0]).max(axis=1)
    assert away.min() >= colours.ALIKE


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"vmin": 1, "vmax": 1}, "vmin must be less than vmax, got 1 and 1"),
        ({"vmin": 2, "vmax": 1}, "vmin must be less than vmax"),
        ({"vmin": np.nan}, "vmin must be one finite number"),
        ({"vmax": [1, 2]}, "vmax must be one finite number"),
        ({"vmax": "a"}, "vmax must be"),
        ({"cmap": "no such map"}, "cmap must be the name of a colour map"),
        ({"cmap": 3}, "cmap must be a name"),
    ],
)
def test_ends_that_make_no_sense_are_refused(
    logger: Logger, arguments: dict[str, Any], message: str
) -> None:
    """The error names the argument, and nothing is written."""
    with pytest.raises((TypeError, ValueError), match=rf"\('a'\): {message}"):
        logger.add_matrix("a", [[1.0]], **arguments)
    assert points(logger.run_dir, "a") == []


def bar(logger: Logger, matrix: object, **ends: Any) -> np.ndarray:
    """Return the colours of the colour bar of a matrix, from its top to its bottom."""
    logger.add_matrix("bar", matrix, **ends)
    pixels = logged(logger, "bar").astype(int)
    axis = (pixels == canvas.AXIS).all(axis=-1)
    top = matrix_plot.TOP
    lines = np.flatnonzero(axis[top : top + 12].all(axis=0))
    x = int(lines[-2]) + 1  # between its two sides
    assert lines[-1] - lines[-2] == matrix_plot.BAR + 1
    end = top + int(axis[top:, x].argmax())
    return pixels[top:end, x]


def test_the_bar_has_all_colours_of_the_scale(logger: Logger) -> None:
    """The largest value is at its top; with both signs, white is in its middle."""
    found = bar(logger, [[0.0, 0.4], [0.2, np.nan]])
    assert found[[0, -1]].tolist() == [LARGEST, SMALLEST]
    found = bar(logger, [[-9.0, 0.4]])
    assert found[[0, len(found) // 2, -1]].tolist() == [POSITIVE, ZERO, NEGATIVE]
    found = bar(logger, [[-1.0]])
    assert (found == NEGATIVE).all()


def test_a_matrix_of_nan_has_axes_but_no_bar(logger: Logger) -> None:
    """There is no scale to show."""
    logger.add_matrix("weights", np.full((3, 3), np.nan))
    pixels = logged(logger)
    assert (cells_of(pixels, 3, 3) == NOTHING).all()
    assert (pixels[:, 280:] == 255).all()


def test_weights_times_ten_look_different(logger: Logger) -> None:
    """The colours are the same, but the numbers at the bar are others."""
    weights = np.array([[0.0, 0.4, 0.2]])
    logger.add_matrix("weights", weights)
    one = logged(logger)
    logger.add_matrix("weights", weights * 10)
    other = logged(logger)
    assert (cells_of(one, 1, 3) == cells_of(other, 1, 3)).all()
    assert (one != other).any()


@pytest.mark.parametrize(
    "matrix",
    [
        Projection(),
        (Projection.w, Projection.pre_ranks),
        (
            np.array([np.array([0.5, 1.5]), np.array([1.0])], object),
            Projection.pre_ranks,
        ),
        ([0, 2, 1], [0, 0, 1], [0.5, 1.5, 1.0]),
        (np.array([1, 0, 2]), np.array([1, 0, 0]), np.array([1.0, 0.5, 1.5])),
        WEIGHTS.tolist(),
        WEIGHTS.astype(object),
        WEIGHTS.astype(np.float32),
    ],
)
def test_all_forms_of_the_same_weights_give_the_same_image(
    logger: Logger, matrix: object
) -> None:
    """They are a projection, ragged lists with ranks, Brian2's i, j, w, and arrays."""
    logger.add_matrix("weights", matrix)
    assert (cells_of(logged(logger), 2, 3) == drawn(WEIGHTS)).all()


@pytest.mark.parametrize("form", ["coo", "csr", "csc", "lil", "dok", "bsr", "dia"])
@pytest.mark.parametrize("kind", ["matrix", "array"])
def test_sparse_matrices_of_scipy(logger: Logger, form: str, kind: str) -> None:
    """Entries that are not stored are grey, even in place of 0."""
    sparse = pytest.importorskip("scipy.sparse", reason="needs SciPy")
    rows, columns = np.nonzero(~np.isnan(WEIGHTS))
    entries = (WEIGHTS[rows, columns], (rows, columns))
    made = getattr(sparse, f"coo_{kind}")(entries, shape=(2, 3)).asformat(form)
    logger.add_matrix("weights", made)
    found = cells_of(logged(logger), 2, 3)
    if form in ("bsr", "dia"):  # they may store extra zeros
        assert (found[0, 2] == LARGEST).all()
    else:
        assert (found == drawn(WEIGHTS)).all()


def test_a_million_synapses_of_scipy(logger: Logger) -> None:
    """Of 10,000 x 10,000: what is dense, what is empty, the range, and both ends."""
    sparse = pytest.importorskip("scipy.sparse", reason="needs SciPy")
    rows, columns = RNG.integers(0, 10_000, (2, 1_000_000))
    weights = RNG.uniform(-2, 0.1, 1_000_000)
    there = (rows >= 2000) | (columns < 5000)  # none at the top right
    weights[~there] = 0
    made = sparse.coo_array((weights, (rows, columns)), shape=(10_000, 10_000)).tocsr()
    made.eliminate_zeros()
    logger.add_matrix("weights", made)
    pixels = logged(logger)
    for text in ("0", "9999", *map(canvas.number, (made.min(), made.max()))):
        assert says(pixels, text), text
    left = canvas.width("9999") + 2 * matrix_plot.SPACE
    room = canvas.WIDTH - left - matrix_plot.RIGHT
    tall, wide = -(-10_000 // ROWS), -(-10_000 // room)
    shape = -(-10_000 // tall), -(-10_000 // wide)
    found = pixels[matrix_plot.TOP :][: shape[0], left : left + shape[1]]
    grey = (found == NOTHING).all(axis=-1)
    wanted = np.ones(shape, bool)
    wanted[made.tocoo().row // tall, made.tocoo().col // wide] = False
    assert (grey == wanted).all()
    assert grey[: 1900 // tall, 5100 // wide :].all()
    assert grey.mean() < 0.12


@pytest.mark.parametrize("form", ["csr", "csc", "coo"])
def test_what_a_sparse_matrix_stores_twice_is_summed(form: str) -> None:
    """This follows SciPy's convention; the matrix is not changed."""
    sparse = pytest.importorskip("scipy.sparse", reason="needs SciPy")
    entries = [5.0, -4.0, 3.0]
    places = {
        "csr": ([0, 0, 1], [0, 3]),
        "csc": ([0, 0, 0], [0, 2, 3]),
        "coo": ([0, 0, 0], [0, 0, 1]),
    }[form]
    given = (entries, places) if form == "coo" else (entries, *places)
    made = getattr(sparse, f"{form}_array")(given, shape=(1, 2))
    assert (drawn(made) == drawn([[1.0, 3.0]])).all()
    assert made.data.tolist() == entries


def test_scipy_is_not_imported() -> None:
    """Users without sparse matrices do not wait for it."""
    assert "scipy" not in vars(matrices)
    assert "scipy" not in vars(sys.modules["annarchy_tb.inputs.arrays"])


@pytest.mark.parametrize(
    "matrix", [(0.5, [[0, 2], [1]]), ([0, 2, 1], [0, 0, 1], np.float32(0.5))]
)
def test_one_weight_may_stand_for_all(matrix: object) -> None:
    """proj.w is a plain number if all synapses have the same weight."""
    wanted = [[SMALLEST, NOTHING, SMALLEST], [NOTHING, SMALLEST, NOTHING]]
    assert drawn(matrix).tolist() == wanted


@pytest.mark.parametrize("signed", [False, True])
@pytest.mark.parametrize("shape", [(1000, 1000), (20, 3000), (1051, 7)])
def test_a_large_matrix_is_drawn_smaller(shape: tuple[int, int], signed: bool) -> None:
    """A pixel shows the entry farthest from 0; a side that fits is not scaled."""
    matrix = RNG.normal(size=shape) if signed else RNG.random(shape)
    tall, wide = -(-shape[0] // ROWS), -(-shape[1] // COLUMNS)
    pixels = drawn(matrix)
    assert pixels.shape == (-(-shape[0] // tall), -(-shape[1] // wide), 3)
    shown = np.empty(pixels.shape[:2])
    for row, column in np.ndindex(shown.shape):
        block = matrix[
            row * tall : (row + 1) * tall, column * wide : (column + 1) * wide
        ]
        shown[row, column] = block.flat[abs(block).argmax()]
    scale = matrix_plot.scale_for(matrix.ravel(), None, None, None)
    assert (scale.low, scale.high) == (matrix.min(), matrix.max())
    assert (pixels == matrix_plot.coloured(shown, scale)).all()
    rows, columns = np.indices(shape).reshape(2, -1)
    assert (pixels == drawn((columns, rows, matrix.ravel()))).all()


@pytest.mark.parametrize("rest", [0.0, np.nan])
@pytest.mark.parametrize("weight", [0.25, -0.25])
def test_a_single_synapse_is_seen(rest: float, weight: float) -> None:
    """One in a million has a distinct colour, dense or sparse."""
    matrix = np.full((1000, 1000), rest)
    matrix[617, 23] = weight
    pixels = drawn(matrix)
    own = (pixels != pixels[0, -1]).any(axis=-1)
    assert np.argwhere(own).tolist() == [[617 // 6, 23 // 5]]


def test_a_large_sparse_matrix_is_never_dense() -> None:
    """100,000 x 100,000 neurons with 10,000 synapses need a few megabytes."""
    pre, post = RNG.integers(0, 100_000, (2, 10_000))
    tracemalloc.start()
    try:
        pixels = drawn((pre, post, RNG.normal(size=10_000)))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert pixels.shape[0] <= ROWS
    assert peak < 20e6


def test_infinite_values_are_told_once(logger: Logger) -> None:
    """They get the colours of the ends, and do not spoil the others."""
    with pytest.warns(
        UserWarning, match=r"add_matrix\('weights'\): infinite"
    ) as caught:
        logger.add_matrix("weights", [[np.inf, 1.0], [-np.inf, 2.0]])
        logger.add_matrix("weights", [[np.inf, 1.0], [-np.inf, 2.0]])
    assert len(caught) == 1
    found = cells_of(logged(logger), 2, 2)
    assert found.tolist() == [[LARGEST, SMALLEST], [SMALLEST, LARGEST]]


@pytest.mark.parametrize(
    ("matrix", "message"),
    [
        (Synapses(), r"pass \(S.i, S.j, S.w\)"),
        (
            0.5,
            r"got 0.5 \(float\); if all weights are one number, pass proj instead",
        ),
        (np.float64(0.5), "pass proj instead of proj.w"),
        (np.array(None), "got"),
        (np.zeros(100), r"got .*\(100,\).*; reshape it"),
        (np.zeros((2, 3, 4)), r"\(2, 3, 4\).*add_images takes several"),
        (np.zeros((2, 3, 4, 5)), "add_images takes several"),
        ({0: [1]}, "got dict of length 1"),
        ([[0.5, 1.5], [1.0]], r"pass \(proj.w, proj.pre_ranks\), or proj"),
        (
            np.array([np.zeros(2), np.zeros(3)], object),
            r"pass \(proj.w, proj.pre_ranks\)",
        ),
        (np.zeros((0, 3)), r"got an empty one, \(0, 3\)"),
        (np.zeros((2, 2), complex), "matrix must have shape"),
        ([["a"]], "matrix must have shape"),
        (None, "got None"),
        (([[1.0]], [[0, 1]]), "lists as long as those of pre_ranks, got list"),
        (([[1.0]], [0]), "pre_ranks must be lists, one per row, got list"),
        (([[1.0]], 3), "pre_ranks must be lists, one per row, got 3"),
        (([[1.0]], [[-1]]), "pre_ranks must be whole numbers from 0, got -1"),
        (([["a"]], [[0]]), "weights must be an array of numbers"),
        (([], []), "got an empty one"),
        (([0, 1], [0], [1.0]), r"same shape \(K,\), got \(2,\), \(1,\), \(1,\)"),
        (([0.5], [0], [1.0]), "pre must be whole numbers"),
        (([[0]], [0], [1.0]), r"pre must have shape \(K,\), got \(1, 1\)"),
        ((1, 2, 3, 4), "got tuple of length 4"),
    ],
)
def test_what_is_no_matrix_is_refused(
    logger: Logger, matrix: object, message: str
) -> None:
    """The error names the method, the tag, the rule and what came."""
    with pytest.raises((TypeError, ValueError), match=message) as caught:
        logger.add_matrix("Sheet", matrix)
    assert str(caught.value).startswith("add_matrix('Sheet'): ")
    assert points(logger.run_dir, "Sheet") == []


def test_a_closed_logger_refuses(logger: Logger) -> None:
    """The error is the same as for all methods."""
    logger.close()
    with pytest.raises(ValueError, match="Logger is closed"):
        logger.add_matrix("weights", WEIGHTS)


@given(
    hnp.arrays(
        st.sampled_from([np.float32, np.float64, np.int64, np.uint8, np.bool_]),
        st.tuples(st.integers(1, 9), st.integers(1, 9)),
    )
)
def test_any_numbers_are_drawn_without_a_warning_of_numpy(array: np.ndarray) -> None:
    """Only missing entries are grey, and nothing is changed."""
    kept = array.copy()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        pixels = drawn(array)
        whole = matrix_plot.draw(collect(array)).pixels
    assert whole.shape == (200, 320, 3)
    assert pixels.shape == (*array.shape, 3)
    assert ((pixels == NOTHING).all(axis=-1) == np.isnan(array)).all()
    assert ((array == kept) | np.isnan(array)).all()


@given(
    st.lists(
        st.tuples(st.integers(0, 5000), st.integers(0, 5000), st.floats(-1e3, 1e3)),
        min_size=1,
        max_size=30,
    )
)
def test_every_synapse_is_in_the_picture(
    synapses: list[tuple[int, int, float]],
) -> None:
    """Its pixel is not grey, and all others are."""
    pre, post, weights = (np.array(column) for column in zip(*synapses, strict=True))
    kept = pre.copy(), post.copy(), weights.copy()
    pixels = drawn((pre, post, weights))
    wanted = np.zeros(pixels.shape[:2], bool)
    tall, wide = -(-(post.max() + 1) // ROWS), -(-(pre.max() + 1) // COLUMNS)
    wanted[post // tall, pre // wide] = True
    assert ((pixels != NOTHING).any(axis=-1) == wanted).all()
    for now, before in zip((pre, post, weights), kept, strict=True):
        assert (now == before).all()
