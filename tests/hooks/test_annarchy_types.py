"""Data from ANNarchy is logged as it is, or refused with a hint at the right call.

They need ANNarchy, a compiler and CMake, in an activated environment.
"""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from conftest import points, scalars
from pictures import cells, cells_of, plot
from sampled import killed_and_resumed

from annarchy_tb import Logger, Run
from annarchy_tb.hooks import annarchy, image, matrix, raster
from annarchy_tb.kinds.colours import NOTHING

ann = pytest.importorskip("ANNarchy", reason="needs ANNarchy")

pytestmark = pytest.mark.timeout(600)  # compiles a network


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> SimpleNamespace:
    """Return a network that ran for 50 ms, and the recordings of its monitors."""
    net = ann.Network(dt=0.5, seed=1)
    sheet = net.create((4, 5), ann.Izhikevich)
    sheet.noise = 20.0
    few = net.create(6, ann.Izhikevich)
    retina = net.create(ann.PoissonPopulation((3, 3), rates=100.0))
    random = ann.Uniform(0.1, 1.0)
    sparse = net.connect(sheet, few, "exc", ann.STDP())
    sparse.fixed_probability(0.5, random)
    constant = net.connect(sheet, few, "exc")
    constant.all_to_all(0.5)
    dense = net.connect(retina, sheet, "exc", ann.STDP())
    dense.all_to_all(random)
    views = net.connect(sheet[2:6], few[1:3], "inh")
    views.all_to_all(random)
    monitor = net.monitor(sheet, ["v", "spike"])
    part = net.monitor(sheet[2:6], "spike")
    weights = net.monitor(dense, "w", period=10.0)
    ragged = net.monitor(sparse, "w", period=10.0)
    net.compile(directory=str(tmp_path_factory.mktemp("annarchy")))
    dendrite = net.monitor(dense.dendrite(3), "w", period=10.0)
    net.simulate(50.0)
    recorded = monitor.get()
    return SimpleNamespace(
        net=net,
        **{"sheet": sheet, "monitor": monitor, "recorded": recorded},
        **{"sparse": sparse, "constant": constant, "dense": dense, "views": views},
        spikes=recorded["spike"],
        spikes_of_part=part.get("spike"),
        dense_weights=weights.get("w"),
        sparse_weights=ragged.get("w"),
        dendrite_weights=dendrite.get("w"),
    )


def logged(logger: Logger, tag: str) -> np.ndarray:
    """Return the pixels of the last image of a tag."""
    return points(logger.run_dir, tag)[-1].pixels


def test_the_types_are_what_we_take_them_for(made: SimpleNamespace) -> None:
    """If this fails, ANNarchy has changed, and the other tests are meaningless."""
    assert made.sheet.v.shape == (4, 5)
    assert len({len(row) for row in made.sparse.w}) > 1
    assert made.constant.w == 0.5
    assert isinstance(made.constant.w, float)
    assert made.recorded["v"].shape == (100, 4, 5)
    assert list(made.spikes) == list(range(20))
    assert max(map(max, filter(None, made.spikes.values()))) > 50  # steps, not ms
    assert made.dense_weights.dtype == made.dendrite_weights.dtype == object
    assert made.dense_weights.shape == (5, 20, 9)
    assert made.dendrite_weights.shape == (5, 9)
    assert isinstance(made.sparse_weights[0, 0], list)


def test_spikes_are_a_raster(made: SimpleNamespace, logger: Logger) -> None:
    """The dict and the pair show the same spikes: steps and ms scale the same way."""
    logger.add_raster("steps", made.spikes, duration=100)
    times, ranks = made.monitor.raster_plot(made.spikes)
    logger.add_raster("ms", (times, ranks), duration=50.0, bins=100)
    shown, ms = (cells(logged(logger, tag), 20, 100) for tag in ("steps", "ms"))
    assert (shown == ms).all()
    fired = np.zeros((100, 20), bool)
    for rank, steps in made.spikes.items():
        fired[steps, rank] = True
    assert (shown.T > 0).tolist() == fired.tolist()


def test_recordings_survive_a_kill(made: SimpleNamespace, logdir: Path) -> None:
    """Of monitors: potentials and spikes, logged in parts, resumed, read back equal."""
    potentials = made.recorded["v"].reshape(100, 20)
    tags = [f"v of {rank}" for rank in range(20)]
    halves = (slice(0, 50), slice(50, 100))

    def part(rows: slice) -> Any:
        def log(logger: Logger) -> None:
            logger.add_series(tags, potentials[rows])
            logger.add_raster("spikes", made.spikes)

        return log

    run = killed_and_resumed(logdir, [part(rows) for rows in halves])
    for rank, tag in enumerate(tags):
        values = run.scalars(tag).values
        assert values.dtype == potentials.dtype
        assert values.tobytes() == potentials[:, rank].tobytes()
    for times, ranks in run.spikes("spikes").spikes:
        pairs = [(t, rank) for rank, its in made.spikes.items() for t in its]
        assert list(zip(times.tolist(), ranks.tolist(), strict=True)) == pairs
    assert len(run.spikes("spikes").spikes) == 2


def test_spikes_of_a_view_keep_their_ranks(
    made: SimpleNamespace, logger: Logger
) -> None:
    """The axis begins at the first neuron of the view."""
    assert list(made.spikes_of_part) == [2, 3, 4, 5]
    assert any(made.spikes_of_part.values())
    logger.add_raster("view", made.spikes_of_part)
    shown = logged(logger, "view")
    shifted = {rank - 2: steps for rank, steps in made.spikes_of_part.items()}
    logger.add_raster("shifted", shifted)
    assert (plot(shown) == plot(logged(logger, "shifted"))).all()
    assert (shown != logged(logger, "shifted")).any()  # the ranks at the axis


def test_all_recordings_at_once_are_refused(
    made: SimpleNamespace, logger: Logger
) -> None:
    """The result of monitor.get() without a name contains the spikes."""
    with pytest.raises(TypeError, match=r"got \['v', 'spike'\].*spikes\['spike'\]"):
        logger.add_raster("all", made.recorded)


def test_a_projection_is_a_matrix(made: SimpleNamespace, logger: Logger) -> None:
    """Its lists with their ranks are logged, too, and the matrix it makes itself."""
    filled = made.sparse.connectivity_matrix(fill=np.nan)
    logger.add_matrix("nan", filled)
    found = cells_of(logged(logger, "nan"), 6, 20)
    assert ((found == NOTHING).all(axis=-1) == np.isnan(filled)).all()
    logger.add_matrix("projection", made.sparse)
    logger.add_matrix("lists", (made.sparse.w, made.sparse.pre_ranks))
    assert (logged(logger, "projection") == logged(logger, "nan")).all()
    width = max(map(max, made.sparse.pre_ranks)) + 1
    assert (cells_of(logged(logger, "lists"), 6, width) == found[:, :width]).all()


def test_equal_weights_are_a_matrix_of_one_colour(
    made: SimpleNamespace, logger: Logger
) -> None:
    """proj.w is then a plain number: pass proj itself, or the number with ranks."""
    logger.add_matrix("projection", made.constant)
    logger.add_matrix("lists", (made.constant.w, made.constant.pre_ranks))
    pixels = logged(logger, "projection")
    found = cells_of(pixels, *made.constant.connectivity_matrix().shape)
    assert (found == found[0, 0]).all()
    assert (found[0, 0] != NOTHING).any()
    assert (logged(logger, "lists") == pixels).all()
    with pytest.raises(ValueError, match="pass proj instead"):
        logger.add_matrix("number", made.constant.w)


def test_a_projection_between_views_is_shown_whole(
    made: SimpleNamespace, logger: Logger
) -> None:
    """The matrix has all neurons of both populations, like connectivity_matrix."""
    logger.add_matrix("views", made.views)
    found = cells_of(logged(logger, "views"), 6, 20)
    there = (found != NOTHING).any(axis=-1)
    assert np.argwhere(there).tolist() == [[r, c] for r in (1, 2) for c in range(2, 6)]


@pytest.mark.parametrize("name", ["dense.w", "sheet.v", "sheet.r", "dendrite_weights"])
def test_what_is_rectangular_is_a_matrix_and_an_image(
    made: SimpleNamespace, logger: Logger, name: str
) -> None:
    """Nested lists, arrays in a geometry, and object arrays are counted."""
    array: Any = made
    for part in name.split("."):
        array = getattr(array, part)
    shape = np.shape(array)
    logger.add_matrix("matrix", array)
    assert cells_of(logged(logger, "matrix"), *shape).shape == (*shape, 3)
    logger.add_image("image", array, equalize=True)
    assert logged(logger, "image").shape == shape


def test_receptive_fields_are_a_matrix_and_an_image(
    made: SimpleNamespace, logger: Logger
) -> None:
    """The montage made by a projection is 2-D."""
    fields = made.dense.receptive_fields("w")
    logger.add_matrix("matrix", fields)
    logger.add_image("image", fields)
    assert logged(logger, "image").shape == fields.shape


def test_recordings_are_images_and_series(
    made: SimpleNamespace, logger: Logger
) -> None:
    """A sheet over time, a neuron's potential, and a dendrite's weights."""
    potential = made.recorded["v"]
    logger.add_images("v", potential, equalize=True)
    logger.add_series("v of one", potential[:, 2, 3])
    assert len(scalars(logger.run_dir, "v of one")) == 100
    with pytest.raises(ValueError, match=r"\(100, 4, 5\); .*values\[:, 0, 0\]"):
        logger.add_series("v of all", potential)
    logger.add_images("w", made.dense_weights)
    logger.add_series([f"w{i}" for i in range(9)], made.dendrite_weights)
    assert len(scalars(logger.run_dir, "w8")) == 5


@pytest.mark.parametrize(
    ("name", "number"),
    [
        ("sheet.v", 20),
        ("sparse.w", None),
        ("constant.w", 1),
        ("dense.w", 180),
        ("spikes", None),
        ("dense_weights", 900),
        ("sparse_weights", None),
        ("dendrite_weights", 45),
    ],
)
def test_everything_has_a_histogram(
    made: SimpleNamespace, logger: Logger, name: str, number: int | None
) -> None:
    """All numbers are counted, in any nesting."""
    values: Any = made
    for part in name.split("."):
        values = getattr(values, part)
    logger.add_histogram("all", values)
    [point] = points(logger.run_dir, "all")
    if number is not None:
        assert point.array[:, 2].sum() == number


def test_one_number_is_a_scalar(made: SimpleNamespace, logger: Logger) -> None:
    """The common weight of all synapses is logged; an array of weights is refused."""
    logger.add_scalar("w", made.constant.w)
    assert scalars(logger.run_dir, "w") == [(0, 0.5)]
    for many in (made.sheet.r, made.sparse.w):
        with pytest.raises(TypeError, match="log its mean, or use add_histogram"):
            logger.add_scalar("many", many)


@pytest.mark.parametrize(
    ("method", "name", "message"),
    [
        ("add_histogram", "sparse", "pass its .w"),
        ("add_image", "sparse", "add_matrix takes projections"),
        ("add_image", "sparse.w", "rows differ in length; add_matrix takes"),
        ("add_image", "constant.w", "add_scalar takes a single number"),
        ("add_image", "spikes", "got dict of length 20"),
        ("add_image", "recorded.v", "add_images takes several"),
        ("add_images", "sheet.v", "add_image takes a single one"),
        ("add_series", "sparse.w", "rows differ in length"),
        ("add_raster", "sheet.v", "with numbers other than 0 and 1"),
        ("add_matrix", "sparse.w", r"pass \(proj.w, proj.pre_ranks\), or proj"),
        ("add_matrix", "sparse_weights", r"\(proj.w, proj.pre_ranks\)"),
        ("add_matrix", "recorded.v", "add_images takes several"),
        ("add_matrix", "spikes", "got dict of length 20"),
        ("add_matrix", "sheet", "matrix must have shape"),
    ],
)
def test_what_a_method_can_not_show_teaches_the_right_call(
    made: SimpleNamespace, logger: Logger, method: str, name: str, message: str
) -> None:
    """The error names the method and the tag, and says what to do."""
    given: Any = made
    for part in name.split("."):
        given = given[part] if isinstance(given, dict) else getattr(given, part)
    with pytest.raises((TypeError, ValueError), match=message) as caught:
        getattr(logger, method)("tag", given)
    assert str(caught.value).startswith(f"{method}('tag'): ")
    assert "\n" not in str(caught.value)


def test_pictures_are_sampled(made: SimpleNamespace, logger: Logger) -> None:
    """A variable of a sheet as an image, a projection, and the spikes since the last.

    The axis of the raster moves with the network's steps.
    """
    net, begin = made.net, made.net.current_step
    made.monitor.get("spike")  # drops those of before
    sources = {
        "Field": image((made.sheet, "v"), vmin=-80, vmax=30, cmap="viridis"),
        "Weights": matrix(lambda: made.sparse, vmin=0),
        "Spikes": raster(
            lambda: made.monitor.get("spike"),
            start=lambda: net.current_step - 20,
            duration=20,
        ),
        "Rate": lambda: np.mean(made.sheet.v),
    }
    annarchy.sample(logger, net, sources, every=10.0)
    net.simulate(50.0)
    run = Run(logger.run_dir)
    steps = [begin + 20 * number for number in range(5)]
    for tag in ("Field", "Weights", "Spikes"):
        assert [point.step for point in points(run.path, tag)] == steps
    assert points(run.path, "Field")[0].pixels.shape == (4, 5, 3)
    for step, (times, _) in zip(*run.spikes("Spikes")[:2], strict=True):
        assert ((times >= step - 20) & (times <= step)).all()
