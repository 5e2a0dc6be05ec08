"""What users call an array or a number: masked, narrow, lazy, or of other packages."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
from conftest import load, points, scalars

from annarchy_tb import Logger, Run

try:
    import ml_dtypes
except ImportError:  # it comes with onnx, jax and others
    ml_dtypes = None

MASKED = np.ma.masked_array([1.0, 2.0, 999.0], [False, False, True])

Call = Callable[[Logger, str, Any], object]

# Calls with an array of numbers of shape (2, 2), from 0 to 1.
ARRAYS: dict[str, Call] = {
    "add_histogram": lambda logger, tag, x: logger.add_histogram(tag, x),
    "add_image": lambda logger, tag, x: logger.add_image(tag, x),
    "add_images": lambda logger, tag, x: logger.add_images(tag, [x, x]),
    "add_matrix": lambda logger, tag, x: logger.add_matrix(tag, x),
    "add_raster": lambda logger, tag, x: logger.add_raster(tag, x),
    "add_series": lambda logger, tag, x: logger.add_series([tag, tag + "2"], x),
    "add_audio": lambda logger, tag, x: logger.add_audio(tag, x),
    "values in lists": lambda logger, tag, x: logger.add_histogram(tag, [[x], x]),
    "rows in a list": lambda logger, tag, x: logger.add_image(tag, [x[0], x[1]]),
    "a dict": lambda logger, tag, x: logger.add_histogram(tag, {"a": x, "b": [x]}),
    "spikes in a dict": lambda logger, tag, x: logger.add_raster(
        tag, {0: x[0], 1: x[1]}
    ),
    "times and ranks": lambda logger, tag, x: logger.add_raster(tag, (x[0], x[1])),
    "synapses": lambda logger, tag, x: logger.add_matrix(tag, (x[0], x[0], x[1])),
}

# Calls with one number, 1.
NUMBERS: dict[str, Call] = {
    "add_scalar": lambda logger, tag, x: logger.add_scalar(tag, x),
    "add_scalars": lambda logger, tag, x: logger.add_scalars(tag, {"curve": x}),
    "log": lambda logger, tag, x: logger.log({tag: x}),
    "window": lambda logger, tag, x: logger.window(tag, every=1).add(x, weight=x),
    "step": lambda logger, tag, x: logger.add_scalar(tag, 1.0, x),
    "time": lambda logger, tag, x: logger.add_scalar(tag, 1.0, time=x),
    "steps": lambda logger, tag, x: logger.add_series(tag, [1.0], [x]),
    "times": lambda logger, tag, x: logger.add_series(tag, [1.0], times=[x]),
    "metrics": lambda logger, tag, x: logger.add_metrics({tag: x}),
    "histogram": lambda logger, tag, x: logger.add_histogram(tag, [x, [2.0, x]]),
    "start": lambda logger, tag, x: logger.add_raster(tag, {0: [2]}, start=x),
    "rate": lambda logger, tag, x: logger.add_audio(tag, [0.5], rate=x),
    "bins": lambda logger, tag, x: logger.add_raster(tag, {0: [2]}, bins=x),
}


def each_is_taken(logger: Logger, calls: dict[str, Call], x: Any) -> None:
    """Log `x` in each way, and find something logged."""
    for tag, call in calls.items():
        call(logger, tag, x)
    found = {point.tag for point in load(logger.run_dir)}
    found |= {point.tag for point in load(logger.run_dir / "curve")}
    assert found >= calls.keys()


# -- masks -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "hist",
    [
        [MASKED, MASKED],
        (MASKED, [3.0, MASKED[:2]], MASKED[2:]),
        [[MASKED], [[MASKED]]],
        {"a": MASKED, "b": [MASKED]},
        deque([MASKED, MASKED]),
        [MASKED.astype(np.int8)] * 2,
        [1.0, 2.0, np.ma.masked, 2.0, 1.0, np.ma.masked],
        np.ma.masked_greater(np.resize([1.0, 2.0, 9.0], (9, 3))[:2], 8).T,
        [np.ma.masked_array(np.zeros(20_000), [True] * 19_996 + [False] * 4)],
    ],
    ids=range(9),
)
def test_a_histogram_leaves_out_masked_values(logger: Logger, hist: object) -> None:
    """In lists of any depth too; the warning speaks of masked values."""
    with pytest.warns(UserWarning, match=r"^add_histogram\('h'\): masked values are"):
        logger.add_histogram("h", hist)
    counted = points(logger.run_dir, "h")[0].array[:, 2].sum()
    assert counted == (5 if isinstance(hist, tuple) else 4)


def test_masked_values_and_nan_have_warnings_of_their_own(logger: Logger) -> None:
    """And a masked NaN is masked."""
    mixed = np.ma.masked_array([np.nan, np.nan, 1.0], [True, False, False])
    with pytest.warns(UserWarning, match="dropped") as caught:
        logger.add_histogram("h", [mixed])
    assert [str(warning.message).partition(": ")[2] for warning in caught] == [
        "masked values are dropped",
        "NaN and infinity are dropped",
    ]


@pytest.mark.parametrize("wrap", [list, tuple, deque])
@pytest.mark.filterwarnings("ignore:.*the value is nan")
def test_masked_values_in_lists_are_nan(
    logger: Logger, wrap: Callable[[Any], Any]
) -> None:
    """NumPy would stack the arrays below their masks."""
    row = np.ma.masked_array([0, 1, 7], [False, False, True])
    logger.add_series(["a", "b", "c"], wrap([row, row]))
    logger.add_matrix("matrix", [row, row])
    with pytest.warns(UserWarning, match="drawn black"):
        logger.add_image("image", wrap([row, row]), equalize=True)
    with pytest.warns(UserWarning, match="drawn black"):
        logger.add_images("images", wrap([wrap([row]), wrap([row])]), equalize=True)
    assert np.isnan(Run(logger.run_dir).scalars("c").values).all()
    logger.add_matrix("nan", [[0, 1, np.nan]] * 2)
    matrix, nan = (points(logger.run_dir, its)[0].pixels for its in ("matrix", "nan"))
    assert (matrix == nan).all()
    assert points(logger.run_dir, "image")[0].pixels.tolist() == [[0, 255, 0]] * 2
    assert points(logger.run_dir, "images")[0].pixels[0, :3].tolist() == [0, 255, 0]


def test_a_masked_step_or_time_is_refused(logger: Logger) -> None:
    """In a list as by itself."""
    for call in (
        lambda: logger.add_scalar("a", 1.0, np.ma.masked),
        lambda: logger.add_scalar("a", 1.0, time=np.ma.masked),
        lambda: logger.add_series("a", [1.0], [np.ma.masked]),
        lambda: logger.add_series("a", [1.0], times=[np.ma.masked]),
        lambda: logger.add_raster("a", {0: [1, np.ma.masked]}),
        lambda: logger.add_raster("a", ([1.0], [np.ma.masked])),
    ):
        with pytest.raises(ValueError, match=r"^add_\w+\('a'\): "):
            call()


def test_masks_count_while_their_module_is_imported(tmp_path: Path) -> None:
    """Whatever another thread has left of numpy.ma in sys.modules at that moment."""
    script = f"""
        import sys, types, warnings
        import numpy as np
        from annarchy_tb import Logger

        masked = np.ma.masked_array([1.0, 999.0], [False, True])
        half = types.ModuleType("numpy.ma")  # has neither MaskedArray nor masked
        half.__spec__ = types.SimpleNamespace(_initializing=True)
        sys.modules["numpy.ma"] = half
        warnings.simplefilter("ignore")
        with Logger({str(tmp_path)!r}, "run") as logger:
            logger.add_series("series", [1.0, 2.0])
            logger.add_series("masked", masked)
            logger.add_histogram("histogram", masked)
            logger.add_scalar("scalar", masked[:1])
    """
    subprocess.run([sys.executable, "-c", textwrap.dedent(script)], check=True)
    assert points(tmp_path / "run", "histogram")[0].array[:, 2].sum() == 1
    assert np.isnan(Run(tmp_path / "run").scalars("masked").values[1])


def test_missing_values_of_pandas_are_nan(logger: Logger) -> None:
    """Those of types that have no NaN."""
    pd = pytest.importorskip("pandas", reason="needs pandas")
    column = pd.Series([1, None, 3], dtype="Int64")
    with pytest.warns(UserWarning, match="value is nan"):
        logger.add_series("series", column)
    with pytest.warns(UserWarning, match="NaN"):
        logger.add_histogram("histogram", [column, [pd.NA]])
    values = Run(logger.run_dir).scalars("series").values
    assert np.array_equal(values, [1, np.nan, 3], equal_nan=True)
    assert points(logger.run_dir, "histogram")[0].array[:, 2].sum() == 2


# -- types -----------------------------------------------------------------------------

REAL = [
    kind
    for kind in ([] if ml_dtypes is None else vars(ml_dtypes).values())
    if isinstance(kind, type)
    and issubclass(kind, np.generic)
    and np.can_cast(kind, np.float64)
]
HAS_ZERO = [kind for kind in REAL if np.zeros(1, kind).astype(np.float64) == 0]


@pytest.mark.parametrize("kind", [*HAS_ZERO, np.longdouble, np.float16])
def test_arrays_of_every_real_type_are_taken(
    logger: Logger, kind: type[np.generic]
) -> None:
    """Also those that are not NumPy's own."""
    calls = dict(ARRAYS)
    if np.can_cast(kind, np.int8):
        del calls["add_audio"]  # it has no such type
    if np.ones(1, kind).astype(np.float64) < 0:  # 1 is beyond its single bit
        calls = {"add_histogram": ARRAYS["add_histogram"]}
    each_is_taken(logger, calls, np.array([[0, 1], [0, 1]]).astype(kind))


@pytest.mark.parametrize("kind", [*HAS_ZERO, np.longdouble, np.float16])
def test_numbers_of_every_real_type_are_taken(
    logger: Logger, kind: type[np.generic]
) -> None:
    """As scalars, in arrays of one number, and as parameters."""
    for number in (np.ones((), kind)[()], np.ones((), kind), np.ones(1, kind)):
        logger.add_scalar("a", number)
        logger.log({"b": number}, time=number)
    logger.add_parameters({"p": np.zeros((), kind), "q": np.zeros((), kind)[()]})
    assert {value for _, value in scalars(logger.run_dir, "a")} <= {1, -1}
    assert set(Run(logger.run_dir).params.values()) == {0}


@pytest.mark.parametrize("kind", REAL)
def test_narrow_types_keep_their_values(logger: Logger, kind: type) -> None:
    """Whole numbers are kept as int8, all others in single precision."""
    array = np.ones(5).astype(kind)
    logger.add_series("a", array)
    found = Run(logger.run_dir).scalars("a").values
    whole = np.can_cast(kind, np.int8)
    assert found.dtype == (np.int8 if whole else np.float32)
    assert found.tolist() == array.astype(np.float64).tolist()


def test_narrow_parameters_are_short() -> None:
    """0.1 is 0.1, in whichever precision it was rounded."""
    from annarchy_tb.kinds.parameters import flatten

    narrow = [kind for kind in REAL if kind.__name__ == "bfloat16"]
    for kind in (np.float16, np.float32, np.float64, *narrow):
        for given in (kind(0.1), np.array(0.1, kind)):
            assert flatten({"p": given}) == {"p": 0.1}


@pytest.mark.parametrize(
    "array",
    [
        np.ones(2, complex),
        np.ones(2, "m8[s]"),
        np.ones(2, "M8[s]"),
        np.ones(2, "V4"),
        np.ones(2, [("a", "f8")]),
        np.ma.masked_array([1, 2], [0, 1], "M8[s]"),
        np.ma.masked_array([1j, 2], [0, 1]),
        np.ma.masked_array(["a", "b"], [0, 1]),
    ],
    ids=lambda array: str(array.dtype),
)
def test_types_that_are_not_real_are_refused(logger: Logger, array: Any) -> None:
    """Alone and in lists, of arrays and of one number."""
    for call in (
        lambda: logger.add_histogram("a", array),
        lambda: logger.add_histogram("a", [array, 1.0]),
        lambda: logger.add_series("a", array),
        lambda: logger.add_series("a", [1.0], [array[0]]),
        lambda: logger.add_scalar("a", array[:1]),
        lambda: logger.add_scalar("a", array[0]),
    ):
        with pytest.raises(TypeError, match=r"^add_\w+\('a'\): "):
            call()


# -- objects of other packages ---------------------------------------------------------


class OnlyDLPack:
    """An array that can be exchanged by DLPack, and in no other way."""

    def __init__(self, array: Any) -> None:
        self._array = np.asarray(array, np.float64)

    def __dlpack__(self, **options: Any) -> Any:
        return self._array.__dlpack__(**options)

    def __dlpack_device__(self) -> tuple[int, int]:
        return self._array.__dlpack_device__()

    def __getitem__(self, at: Any) -> Any:
        return type(self)(self._array[at])


class Lazy(OnlyDLPack):
    """An array of an own package."""

    def __array__(self, *_: Any, **__: Any) -> Any:
        return self._array


class Tracked(Lazy):
    """A tensor like torch's, of which gradients are computed."""

    def __array__(self, *_: Any, **__: Any) -> Any:
        raise RuntimeError("Can't call numpy() on Tensor that requires grad.")

    def detach(self) -> Lazy:
        return Lazy(self._array)


class OnDevice(Lazy):
    """An array like CuPy's, in the memory of a device."""

    __cuda_array_interface__: ClassVar[dict[str, Any]] = {}

    def __array__(self, *_: Any, **__: Any) -> Any:
        raise TypeError("Implicit conversion to a NumPy array is not allowed.")

    def get(self) -> Any:
        return self._array


class Narrow(Lazy):
    """A tensor like torch's, of a type that NumPy does not have."""

    def __array__(self, *_: Any, **__: Any) -> Any:
        raise TypeError("Got unsupported ScalarType BFloat16")

    def is_floating_point(self) -> bool:
        return True

    def float(self) -> Lazy:
        return Lazy(self._array)


class Scalar(Lazy):
    """A tensor like TensorFlow's, which gives a scalar if it has no dimensions."""

    def __array__(self, *_: Any, **__: Any) -> Any:
        return self._array[()]


class Broken(Lazy):
    """A tensor that has no numbers."""

    def __array__(self, *_: Any, **__: Any) -> Any:
        raise RuntimeError("Array has been deleted.\nLook for donate_argnums.")


TENSORS = [OnlyDLPack, Lazy, Tracked, OnDevice, Narrow, Scalar]


@pytest.mark.parametrize("kind", TENSORS)
def test_tensors_are_arrays(kind: Any, logger: Logger) -> None:
    """However a package gives their numbers, everywhere, and in lists."""
    each_is_taken(logger, ARRAYS, kind([[0.0, 1.0], [0.0, 1.0]]))


@pytest.mark.parametrize("kind", TENSORS)
def test_tensors_are_numbers(kind: Any, logger: Logger) -> None:
    """As values, steps, times and arguments."""
    each_is_taken(logger, NUMBERS, kind(1))


@pytest.mark.parametrize("kind", [Lazy, Tracked, OnDevice, Narrow, Scalar])
def test_tensors_are_parameters(kind: Any, logger: Logger) -> None:
    """A number stays one, in lists too."""
    tensor = kind(0.5)
    tensor.shape = ()
    logger.add_parameters({"rate": tensor, "rates": [tensor]})
    assert Run(logger.run_dir).params == {"rate": 0.5, "rates": "[0.5]"}


@pytest.mark.parametrize("calls", [ARRAYS, NUMBERS], ids=["arrays", "numbers"])
def test_a_package_that_refuses_is_a_type_error(
    calls: dict[str, Call], logger: Logger
) -> None:
    """It names the method and the tag, and gives the first line of the reason."""
    for call in calls.values():
        with pytest.raises(TypeError, match=r"^[\w.]+\(.*: Array has been deleted\.$"):
            call(logger, "tag", Broken([[0.0, 1.0]] * 2))
    assert not load(logger.run_dir)


def test_a_parameter_whose_package_refuses_is_a_text(logger: Logger) -> None:
    """Parameters are never refused for their type."""
    tensor: Any = Broken(1.0)
    tensor.shape = ()
    logger.add_parameters({"p": tensor})
    assert "Broken" in str(Run(logger.run_dir).params["p"])


def test_memory_that_runs_out_is_no_type_error(logger: Logger) -> None:
    """It is not the fault of the argument."""

    class Huge(Lazy):
        def __array__(self, *_: Any, **__: Any) -> Any:
            raise MemoryError

    with pytest.raises(MemoryError):
        logger.add_histogram("h", Huge(1))


def test_names_of_columns_are_not_asked(logger: Logger) -> None:
    """A table with columns named like methods of tensors is a table."""
    pd = pytest.importorskip("pandas", reason="needs pandas")
    table = pd.DataFrame({"cpu": [0.5, 1.0], "detach": [0.5, 1.0], "get": [0.0, 1.0]})
    logger.add_histogram("h", table)
    assert points(logger.run_dir, "h")[0].array[:, 2].sum() == 6


def test_a_list_that_contains_itself_is_refused(logger: Logger) -> None:
    """The error names the method and the tag."""
    endless: list[Any] = [1.0]
    endless.append(endless)
    for call in (logger.add_histogram, logger.add_image, logger.add_series):
        with pytest.raises(TypeError, match=r"^add_\w+\('a'\): .*list of length 2"):
            call("a", endless)


# -- the packages themselves, where they are installed: make frameworks ---------------


def torch_tensor(array: Any) -> Any:
    torch = pytest.importorskip("torch", reason="needs torch")
    return torch.tensor(array, dtype=torch.float32, requires_grad=True)


def torch_bfloat16(array: Any) -> Any:
    torch = pytest.importorskip("torch", reason="needs torch")
    return torch.nn.Parameter(torch.tensor(array, dtype=torch.bfloat16))


def torch_float8(array: Any) -> Any:
    torch = pytest.importorskip("torch", reason="needs torch")
    return torch.tensor(array, dtype=torch.float32).to(torch.float8_e4m3fn)


def jax_array(array: Any) -> Any:
    jax = pytest.importorskip("jax", reason="needs jax")
    return jax.numpy.array(array)


def jax_bfloat16(array: Any) -> Any:
    jax = pytest.importorskip("jax", reason="needs jax")
    return jax.numpy.array(array, jax.numpy.bfloat16)


def tensorflow_constant(array: Any) -> Any:
    tensorflow = pytest.importorskip("tensorflow", reason="needs tensorflow")
    return tensorflow.constant(array, tensorflow.float32)


def tensorflow_bfloat16(array: Any) -> Any:
    tensorflow = pytest.importorskip("tensorflow", reason="needs tensorflow")
    return tensorflow.Variable(array, dtype=tensorflow.bfloat16)


def keras_variable(array: Any) -> Any:
    keras = pytest.importorskip("keras", reason="needs keras")
    return keras.Variable(array)


def xarray_array(array: Any) -> Any:
    xarray = pytest.importorskip("xarray", reason="needs xarray")
    return xarray.DataArray(array)


PACKAGES = [
    *(torch_tensor, torch_bfloat16, torch_float8, jax_array, jax_bfloat16),
    *(tensorflow_constant, tensorflow_bfloat16, keras_variable, xarray_array),
]


@pytest.mark.parametrize("make", PACKAGES)
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_arrays_of_packages_are_taken(make: Any, logger: Logger) -> None:
    """Everywhere, and in lists."""
    each_is_taken(logger, ARRAYS, make(np.array([[0.0, 1.0], [0.0, 1.0]])))


@pytest.mark.parametrize("make", PACKAGES)
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_numbers_of_packages_are_taken(make: Any, logger: Logger) -> None:
    """As values, steps, times and arguments."""
    each_is_taken(logger, NUMBERS, make(1.0))


@pytest.mark.parametrize("make", PACKAGES)
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_parameters_of_packages_are_numbers(make: Any, logger: Logger) -> None:
    """A learning rate can be sorted by."""
    logger.add_parameters({"rate": make(0.5)})
    assert Run(logger.run_dir).params == {"rate": 0.5}
