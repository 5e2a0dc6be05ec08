from __future__ import annotations

import io
import warnings
from pathlib import Path

import numpy as np
import pytest
from conftest import in_child, points
from hypothesis import example, given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from PIL import Image, ImageCms

from annarchy_tb import Logger
from annarchy_tb.kinds import colours, png
from annarchy_tb.kinds import image as images
from annarchy_tb.kinds.levels import Levels, Scope

RNG = np.random.default_rng(0)


def logged(logger: Logger, tag: str = "image") -> np.ndarray:
    """Return the pixels of the last image of a tag."""
    return points(logger.run_dir, tag)[-1].pixels


@pytest.mark.parametrize("shape", [(5, 7), (5, 7, 1), (5, 7, 3), (5, 7, 4)])
def test_integers_are_kept_as_they_are(logger: Logger, shape: tuple[int, ...]) -> None:
    """Images of every allowed shape come back pixel for pixel."""
    img = RNG.integers(0, 256, shape)
    logger.add_image("image", img)
    assert (
        logged(logger) == img.reshape(shape if shape[-1] in (3, 4) else (5, 7))
    ).all()
    width, height, _ = points(logger.run_dir, "image")[0].array
    assert (width, height) == (b"7", b"5")


@pytest.mark.parametrize("dtype", ["u1", "i1", "i2", "u4", "i8", "u8"])
def test_every_integer_type_counts_from_0_to_255(logger: Logger, dtype: str) -> None:
    """An int64 of 200 is the grey level 200."""
    img = np.array([[0, 1], [100, 127]], dtype)
    logger.add_image("image", img)
    assert logged(logger).tolist() == img.tolist()


@pytest.mark.parametrize("dtype", ["f2", "f4", "f8", "longdouble"])
def test_floats_count_from_0_to_1(logger: Logger, dtype: str) -> None:
    """0 is black, 1 is white, and values between are rounded."""
    logger.add_image("image", np.array([[0, 0.25], [0.75, 1]], dtype))
    assert logged(logger).tolist() == [[0, 64], [191, 255]]


def test_booleans_are_black_and_white(logger: Logger) -> None:
    """False is black and True is white."""
    logger.add_image("image", np.array([[True, False]]))
    assert logged(logger).tolist() == [[255, 0]]


def test_lists_are_images_too(logger: Logger) -> None:
    """Everything that NumPy makes an array of numbers is accepted, even objects."""
    logger.add_image("image", [[0.0, 1.0]])
    assert logged(logger).tolist() == [[0, 255]]
    logger.add_image("image", np.array([[0.0, 1.0]], object))
    assert logged(logger).tolist() == [[0, 255]]


@pytest.mark.parametrize(
    ("img", "message"),
    [
        ([[0.5, 7.0], [-3.0, 1.0]], "from -3 to 7 are clipped to 0..1.*equalize=True"),
        ([[100, 300], [-5, 255]], "from -5 to 300 are clipped to 0..255"),
    ],
)
def test_what_lies_outside_is_clipped_with_one_warning(
    logger: Logger, img: list[list[float]], message: str
) -> None:
    """Clipping warns once per tag, at the line of the call."""
    with pytest.warns(UserWarning, match=message) as caught:
        logger.add_image("image", img)
        logger.add_image("image", img)
    assert [warning.filename for warning in caught] == [__file__]
    assert logged(logger)[0, 1] == 255
    assert logged(logger)[1, 0] == 0


@pytest.mark.parametrize("equalize", [False, True])
def test_nan_and_infinity_are_drawn_black(logger: Logger, equalize: bool) -> None:
    """They give a warning once per tag, and do not spoil the rest of the image."""
    img = np.array([[np.nan, 0.5], [np.inf, 1.0], [-np.inf, 0.75]])
    with pytest.warns(
        UserWarning, match=r"add_image\('image'\): .*NaN or inf"
    ) as caught:
        logger.add_image("image", img, equalize=equalize)
        logger.add_image("image", img, equalize=equalize)
    assert len(caught) == 1
    wanted = (
        [[0, 0], [0, 255], [0, 128]] if equalize else [[0, 128], [0, 255], [0, 191]]
    )
    assert logged(logger).tolist() == wanted


def test_equalize_uses_the_whole_range(logger: Logger) -> None:
    """The minimum is black and the maximum white, and the array is not changed."""
    img = np.array([[-70.0, -65.0], [-60.0, -50.0]])
    kept = img.copy()
    logger.add_image("image", img, equalize=True)
    assert logged(logger).tolist() == [[0, 64], [128, 255]]
    assert (img == kept).all()


@pytest.mark.parametrize("value", [0.0, -65.0, 1e300, 7, True, np.nan])
@pytest.mark.filterwarnings("ignore:.*NaN or inf")
def test_equalize_of_a_constant_image_is_black(logger: Logger, value: float) -> None:
    """There is no division of 0 by 0."""
    logger.add_image("image", np.full((2, 2), value), equalize=True)
    wanted = 255 if value is True else 0
    assert logged(logger).tolist() == [[wanted, wanted]] * 2


@pytest.mark.parametrize(
    "img",
    [
        np.array([[-1.7e308, 1.7e308]]),
        np.array([[0.0, 5e-324]]),
        np.array([[-(2**63), 2**63 - 1]]),
        np.array([[0, 2**64 - 1]], np.uint64),
        np.array([[-3e38, 3e38]], np.float32),
        np.array([[-60000, 60000]], np.float16),
    ],
)
def test_equalize_stands_the_widest_and_the_narrowest_range(
    logger: Logger, img: np.ndarray
) -> None:
    """Ranges that overflow or almost vanish still become black and white."""
    logger.add_image("image", img, equalize=True)
    assert logged(logger).tolist() == [[0, 255]]


def test_equalize_leaves_alpha_alone(logger: Logger) -> None:
    """The colours of an RGBA image are rescaled, its opacity is kept."""
    img = np.zeros((1, 2, 4))
    img[0, 1, :3] = 0.5
    img[..., 3] = [0.25, 0.75]
    logger.add_image("image", img, equalize=True)
    assert logged(logger).tolist() == [[[0, 0, 0, 64], [255, 255, 255, 191]]]


@pytest.mark.parametrize(
    ("img", "error", "message"),
    [
        (
            np.zeros((10, 10, 2)),
            ValueError,
            r"\(H, W, 3\) or \(H, W, 4\), got \(10, 10, 2\)",
        ),
        (np.zeros(100), ValueError, r"got \(100,\); reshape it"),
        (np.zeros((2, 3, 3, 3)), ValueError, "add_images"),
        (np.zeros((0, 10)), ValueError, r"got \(0, 10\)"),
        (3.0, ValueError, r"got \(\)"),
        ([[1, 2], [3]], TypeError, "list of length 2"),
        ([["a"]], TypeError, "array of numbers"),
        ([[None, 1.0, "a"]], TypeError, "array of numbers"),
        (np.zeros((2, 2), complex), TypeError, "complex"),
        (None, TypeError, "None"),
        (np.zeros((2, 2), "M8[s]"), TypeError, "datetime64"),
    ],
)
def test_what_is_no_image_is_refused(
    logger: Logger, img: object, error: type[Exception], message: str
) -> None:
    """The error names the method, the tag, the rule and what came."""
    with pytest.raises(error, match=rf"^add_image\('Weights'\): img must .*{message}"):
        logger.add_image("Weights", img)
    logger.add_image("Weights", [[0.5]])
    assert len(points(logger.run_dir, "Weights")) == 1


@pytest.mark.parametrize(
    "shape", [(3, 4), (3,), (2, 3, 3, 2), (0, 3, 3), (1, 2, 3, 3, 3)]
)
def test_what_are_no_images_is_refused(logger: Logger, shape: tuple[int, ...]) -> None:
    """add_images requires a stack of images."""
    with pytest.raises(
        ValueError, match=r"^add_images\('a'\): img must have shape \(N, H"
    ):
        logger.add_images("a", np.zeros(shape))


@pytest.mark.parametrize("channels", [(), (1,), (3,), (4,)])
@pytest.mark.parametrize("number", [1, 2, 3, 7, 9])
def test_a_mosaic_shows_all_images_with_gaps(
    logger: Logger, number: int, channels: tuple[int, ...]
) -> None:
    """The images are placed row by row, one grey pixel apart."""
    img = RNG.integers(0, 256, (number, 4, 5, *channels), np.uint8)
    logger.add_images("image", img)
    sheet = logged(logger)
    columns = int(np.ceil(np.sqrt(number)))
    rows = -(-number // columns)
    assert sheet.shape[:2] == (rows * 5 - 1, columns * 6 - 1)
    covered = np.zeros(sheet.shape[:2], bool)
    for i, one in enumerate(img):
        top, left = i // columns * 5, i % columns * 6
        place = (slice(top, top + 4), slice(left, left + 5))
        covered[place] = True
        assert (sheet[place] == one.reshape(sheet[place].shape)).all()
    assert (sheet[~covered] == images.GREY).all()


def test_images_are_equalized_together_or_each_by_itself(logger: Logger) -> None:
    """equalize uses one range for all; equalize_per_image implies it, one for each."""
    img = np.array([[[0.0, 10.0]], [[20.0, 40.0]]])
    logger.add_images("image", img, equalize=True)
    assert logged(logger).tolist() == [[0, 64, images.GREY, 128, 255]]
    logger.add_images("image", img, equalize_per_image=True)
    assert logged(logger).tolist() == [[0, 255, images.GREY, 0, 255]]
    logger.add_images("image", img, 7, True, True)
    assert logged(logger).tolist() == [[0, 255, images.GREY, 0, 255]]


def test_one_bad_image_of_several_does_not_spoil_the_others(logger: Logger) -> None:
    """An image of NaN, or a constant one, is black; the others are not affected."""
    img = np.array([[[np.nan, np.nan]], [[3.0, 3.0]], [[1.0, 2.0]]])
    with pytest.warns(UserWarning, match="NaN"):
        logger.add_images("image", img, equalize_per_image=True)
    sheet = logged(logger)
    assert sheet[0].tolist() == [0, 0, images.GREY, 0, 0]
    assert sheet[2, :2].tolist() == [0, 255]


@given(
    hnp.arrays(
        st.sampled_from([np.float32, np.float64, np.int64, np.uint8, np.bool_]),
        st.tuples(st.integers(1, 9), st.integers(1, 9), st.sampled_from([1, 3, 4])),
    ),
    st.sampled_from(["", "all", "each"]),
)
@example(np.full((1, 1, 1), np.inf, np.float32), "")
@example(np.full((1, 1, 1), -np.inf), "each")
def test_any_numbers_become_pixels_without_a_warning_of_numpy(
    array: np.ndarray, equalize: Scope
) -> None:
    """No array makes NumPy warn, and each PNG decodes to the same pixels."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        picture = images.drawn(Levels(array[np.newaxis], equalize), (1, *array.shape))
    pixels = np.concatenate(list(picture.bands))
    assert pixels.dtype == np.uint8
    assert picture.shape == pixels.shape == array.shape
    encoded = b"".join(png.encode(picture.shape, [pixels]))
    decoded = np.asarray(Image.open(io.BytesIO(encoded)))
    assert (decoded.reshape(pixels.shape) == pixels).all()


# -- a fixed range, and colours --------------------------------------------------------

VIRIDIS, GREYS = colours.named("viridis"), colours.named("gray")


def test_a_fixed_range_is_black_to_white(logger: Logger) -> None:
    """vmin is black and vmax white; values beyond are clipped without a warning."""
    img = np.array([[-70.0, -65.0], [-60.0, -50.0], [-90.0, 10.0]])
    kept = img.copy()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        logger.add_image("image", img, vmin=-70, vmax=np.float32(-50))
        logger.add_images("images", [img, img], vmin=-70, vmax=-50)
    assert logged(logger).tolist() == [[0, 64], [128, 255], [0, 255]]
    assert (logged(logger, "images")[:, :2] == logged(logger)).all()
    assert (img == kept).all()


@pytest.mark.parametrize("options", [{}, {"cmap": "viridis"}])
def test_a_value_is_one_colour_in_every_image(
    logdir: Path, options: dict[str, str]
) -> None:
    """At all steps, in all types, in other processes, and after a resume."""
    ends = {"vmin": -3.3, "vmax": 7.7, **options}
    values = np.arange(-3, 8)[np.newaxis]

    def log(logger: Logger, other: float, tags: str = "ab") -> None:
        for dtype in ("i1", "i8", "f2", "f4", "f8", ">f4"):
            img = np.append(values, [[other]], axis=1).astype(dtype)
            logger.add_image(tags[0], img, **ends)
            logger.add_images(tags[1], img[np.newaxis, ..., np.newaxis], **ends)

    with Logger(logdir, "run") as logger:
        log(logger, 100)
        log(logger, -100)
        logger.save_checkpoint(None, 0)
    with Logger(logdir, "run", resume=True) as logger:
        log(logger, 0)
        assert in_child(lambda: log(logger, 3, "cd")) == 0
    found = [p.pixels[:, :-1] for t in "abcd" for p in points(logger.run_dir, t)]
    assert len(found) == 48
    assert all((pixels == found[0]).all() for pixels in found)
    assert len(np.unique(found[0].reshape(11, -1), axis=0)) == 11


def test_ends_left_out_are_those_of_the_type(logger: Logger) -> None:
    """0, and 1 or 255; what is clipped there is warned of, as without a range."""
    with pytest.warns(UserWarning, match=r"from -2 to 3 are clipped to -1\.\.1;"):
        logger.add_image("image", [[-2.0, -1.0, 0.0, 1.0, 3.0]], vmin=-1)
    assert logged(logger).tolist() == [[0, 0, 128, 255, 255]]
    logger.add_image("image", [[0, 10, 20]], vmax=10)
    assert logged(logger).tolist() == [[0, 255, 255]]
    logger.add_image("image", [[0, 155, 255]], vmin=55)
    assert logged(logger).tolist() == [[0, 128, 255]]
    logger.add_image("image", [[False, True]], vmax=2)
    assert logged(logger).tolist() == [[0, 128]]


def test_a_map_colours_the_levels(logger: Logger) -> None:
    """Its first colour is level 0, its last one level 255: also of bool and uint8."""
    img = RNG.integers(0, 256, (5, 7), np.uint8)
    for its in (img, img.astype(int), img / 255, img[..., np.newaxis]):
        logger.add_image("image", its, cmap="viridis")
        assert (logged(logger) == VIRIDIS[img]).all()
    logger.add_image("image", img > 99, cmap="viridis")
    assert (logged(logger) == VIRIDIS[np.where(img > 99, 255, 0)]).all()
    logger.add_image("image", Image.fromarray(img), cmap="viridis")
    assert (logged(logger) == VIRIDIS[img]).all()
    logger.add_image("image", [[2.0, 3.0, 4.0]], equalize=True, cmap="viridis")
    assert (logged(logger) == VIRIDIS[[0, 128, 255]]).all()
    logger.add_images("images", np.stack([img] * 3), cmap="viridis")
    sheet = logged(logger, "images")
    assert sheet.shape == (11, 15, 3)
    assert (sheet[:5, :7] == VIRIDIS[img]).all()
    assert (sheet[:, 7] == images.GREY).all()
    two = np.array([[[0.0, 9.0]], [[2.0, 3.0]]])
    logger.add_images("images", two, equalize_per_image=True, cmap="viridis")
    assert (
        logged(logger, "images")[0, [0, 1, 3, 4]] == VIRIDIS[[0, 255, 0, 255]]
    ).all()


@pytest.mark.parametrize(
    ("cmap", "name", "colour"),
    [
        ("viridis", "light grey", colours.NOTHING),
        ("gray", "magenta", colours.MAGENTA),
        ("coolwarm", "magenta", colours.MAGENTA),
    ],
)
@pytest.mark.parametrize("dtype", ["f2", "f4", "f8"])
def test_nan_has_a_colour_that_no_number_has(
    logger: Logger, cmap: str, name: str, colour: tuple[int, int, int], dtype: str
) -> None:
    """So have infinity and masked values, in every map; without one they are black."""
    img = np.array([[np.nan, 0.0], [np.inf, 1.0], [-np.inf, 0.5]], dtype)
    for options in ({}, {"vmin": 0, "vmax": 1}, {"equalize": True}):
        tag = f"image {options}"
        with pytest.warns(
            UserWarning, match=f"NaN or infinite values are drawn {name}"
        ):
            logger.add_image(tag, img, cmap=cmap, **options)
        found = logged(logger, tag)
        assert (found[:, 0] == colour).all()
        assert (found[:, 1] == colours.named(cmap)[[0, 255, 128]]).all()
    masked = np.ma.masked_array([[0, 5]], [[True, False]])
    with pytest.warns(UserWarning, match="masked"):
        logger.add_image("masked", masked, vmin=0, vmax=5, cmap=cmap)
    assert logged(logger, "masked").tolist() == [
        [list(colour), colours.named(cmap)[255].tolist()]
    ]
    with pytest.warns(UserWarning, match="are drawn black"):
        logger.add_image("grey", img, vmin=-1, vmax=1)
    assert logged(logger, "grey").tolist() == [[0, 128], [0, 255], [0, 191]]


@pytest.mark.parametrize("dtype", ["f4", "f8", "i8", "u8"])
@pytest.mark.parametrize(
    ("vmin", "vmax"), [(0, 5e-324), (-9e299, 9e299), (0, 1e-30), (-(2.0**63), 2.0**64)]
)
def test_a_fixed_range_may_be_wide_or_narrow(
    logger: Logger, vmin: float, vmax: float, dtype: str
) -> None:
    """NumPy warns of nothing, and its ends are black and white."""
    most = np.finfo(dtype).max if dtype[0] == "f" else np.iinfo(dtype).max
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        img = np.array([[0, most]], dtype)
        logger.add_image("image", img, vmin=vmin, vmax=vmax)
    if vmin == 0:
        assert logged(logger).tolist() == [[0, 255]]


def test_a_fixed_range_has_the_unit_of_the_image(logger: Logger) -> None:
    """The first image sets it; ends are converted to it, or count as in it."""
    u = pytest.importorskip("pint").UnitRegistry()
    img = np.array([[-70.0, -60.0, -50.0]])
    logger.add_image("image", img * u.mV, vmin=-0.07 * u.V, vmax=-50)
    assert logged(logger).tolist() == [[0, 128, 255]]
    logger.add_matrix("matrix", img * u.mV, vmin=-70, vmax=-0.05 * u.V)
    with pytest.raises(TypeError, match=r"^add_image\('image'\): vmax must be in mV"):
        logger.add_image("image", img, vmin=0, vmax=1 * u.s)
    with pytest.raises(TypeError, match=r"^add_image\('plain'\): .* vmin must be"):
        logger.add_image("plain", img, vmin=-70 * u.mV)


@pytest.mark.parametrize(
    ("img", "options", "message"),
    [
        ((2, 2), {"vmin": 1, "vmax": 1}, "vmin must be less than vmax, got 1 and 1"),
        ((2, 2), {"vmin": 5}, r"vmin must be .*, got 5 and 1 \(by default\)"),
        ((2, 2), {"vmax": -5}, r"vmin must be .*, got 0 \(by default\) and -5"),
        ((2, 2), {"vmin": np.nan}, "vmin must be one finite number"),
        ((2, 2), {"vmax": np.inf, "cmap": "gray"}, "vmax must be one finite number"),
        ((2, 2), {"vmax": "1"}, "vmax must be an array of numbers"),
        ((2, 2), {"vmax": [1, 2]}, "vmax must be one finite number"),
        ((2, 2), {"cmap": "no such map"}, "cmap must be the name of a colour map"),
        ((2, 2), {"cmap": ["viridis"]}, "cmap must be a name"),
        ((2, 2, 3), {"vmin": 0}, "vmin is for images of one channel"),
        ((2, 2, 3), {"vmax": 1}, "vmax is for images of one channel"),
        ((2, 2, 4), {"cmap": "viridis"}, "cmap is for images of one channel"),
        ((2, 2), {"vmin": 0, "equalize": True}, "vmin fixes the range"),
        ((2, 2), {"vmax": 1, "equalize": True}, "vmax fixes the range"),
    ],
)
def test_a_range_that_makes_no_sense_is_refused(
    logger: Logger, img: tuple[int, ...], options: dict[str, object], message: str
) -> None:
    """The error names the argument; nothing is written, and no warning spent."""
    array = np.full(img, 7.0)
    each = {
        ("equalize_per_image" if k == "equalize" else k): v for k, v in options.items()
    }
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(
            (TypeError, ValueError), match=rf"^add_image\('a'\): {message}"
        ):
            logger.add_image("a", array, **options)
        for its in (options, each):
            with pytest.raises(
                (TypeError, ValueError), match=rf"^add_images\('a'\): {message}"
            ):
                logger.add_images("a", array[np.newaxis], **its)
    assert points(logger.run_dir, "a") == []
    with pytest.warns(UserWarning, match="clipped"):
        logger.add_image("a", array)


# -- pictures of Pillow ----------------------------------------------------------------

COLOURS = [[(255, 0, 0), (0, 255, 0)], [(0, 0, 255), (255, 255, 255)]]
RGB = Image.fromarray(np.array(COLOURS, np.uint8))
RGBA = Image.fromarray(np.dstack([COLOURS, [[0, 255], [255, 128]]]).astype(np.uint8))


def palette_with_a_transparent_colour() -> Image.Image:
    """Return a picture of mode P whose red is transparent."""
    picture = RGB.quantize(4)
    picture.info["transparency"] = picture.getpixel((0, 0))
    return picture


def rgb_with_a_transparent_colour() -> Image.Image:
    """Return a picture of mode RGB whose red is transparent, as PNG has it."""
    picture = RGB.copy()
    picture.info["transparency"] = (255, 0, 0)
    return picture


@pytest.mark.parametrize("mode", ["P", "CMYK", "RGB", "YCbCr", "HSV", "LAB", "RGBX"])
def test_pictures_are_stored_as_they_look(logger: Logger, mode: str) -> None:
    """Whatever the mode, red is red; some modes round."""
    if mode == "P":
        picture = RGB.quantize(4)
    elif mode == "LAB":
        lab, srgb = (ImageCms.createProfile(name) for name in ("LAB", "sRGB"))
        picture = ImageCms.profileToProfile(RGB, srgb, lab, outputMode="LAB")
    else:
        picture = RGB.convert(mode)
    assert picture.mode == mode
    logger.add_image("image", picture)
    logger.add_images("images", [picture, RGB])
    logger.add_histogram("histogram", picture)
    error = 24 if mode == "LAB" else 8  # of its 8 bits a channel
    assert abs(logged(logger).astype(int) - COLOURS).max() <= error
    sheet = logged(logger, "images").astype(int)
    assert abs(sheet[:, :2] - COLOURS).max() <= error
    assert points(logger.run_dir, "histogram")[0].array[:, 2].sum() == 12


@pytest.mark.parametrize("mode", ["1", "L", "I", "I;16", "F"])
def test_grey_pictures_keep_their_numbers(logger: Logger, mode: str) -> None:
    """Levels of black and white or grey, and numbers that may exceed them."""
    numbers = {"F": [[0, 0.25], [0.75, 1]], "1": [[0, 255], [255, 0]]}
    array = np.array(numbers.get(mode, [[0, 1], [100, 255]]))
    dtypes = {"I": "i4", "I;16": "u2", "F": "f4"}
    picture = Image.fromarray(array.astype(dtypes.get(mode, "u1")))
    picture = picture.convert("1") if mode == "1" else picture
    assert picture.mode == mode
    logger.add_image("image", picture)
    found = logged(logger).tolist()
    assert found == ([[0, 64], [191, 255]] if mode == "F" else array.tolist())


@pytest.mark.parametrize(
    ("picture", "alpha"),
    [
        (RGBA, [[0, 255], [255, 128]]),
        (RGBA.convert("RGBa"), [[0, 255], [255, 128]]),
        (RGBA.convert("LA"), [[0, 255], [255, 128]]),
        (RGBA.convert("LA").convert("La"), [[0, 255], [255, 128]]),
        (RGB.quantize(4).convert("PA"), [[255, 255], [255, 255]]),
        (palette_with_a_transparent_colour(), [[0, 255], [255, 255]]),
        (rgb_with_a_transparent_colour(), [[0, 255], [255, 255]]),
        (RGBA.quantize(4), [[0, 255], [255, 128]]),
    ],
    ids=lambda value: getattr(value, "mode", ""),
)
def test_transparency_is_kept(
    logger: Logger, picture: Image.Image, alpha: list[list[int]]
) -> None:
    """As the fourth channel."""
    logger.add_image("image", picture)
    found = logged(logger)
    assert found.shape == (2, 2, 4)
    assert found[..., 3].tolist() == alpha


def test_a_picture_that_cannot_be_read_is_a_type_error(
    logger: Logger, tmp_path: Path
) -> None:
    """The error names the method and the tag, and gives Pillow's reason."""
    Image.fromarray(RNG.integers(0, 256, (99, 99, 3), np.uint8)).save(
        tmp_path / "a.png"
    )
    encoded = (tmp_path / "a.png").read_bytes()
    (tmp_path / "a.png").write_bytes(encoded[: len(encoded) // 2])
    with Image.open(tmp_path / "a.png") as picture:
        for given in (picture, [picture]):
            with pytest.raises(
                TypeError, match=r"^add_image\('a'\): img must .*truncated"
            ):
                logger.add_image("a", given)


def test_long_images_are_drawn_in_parts(logger: Logger) -> None:
    """Parts of images, and of mosaics, meet without a seam."""
    img = RNG.integers(0, 256, (2, 700, 900), np.uint8)
    logger.add_image("image", img[0])
    logger.add_images("images", img)
    logger.add_image("levels", img[0] / 255.0)
    assert (logged(logger) == img[0]).all()
    assert (logged(logger, "levels") == img[0]).all()
    sheet = logged(logger, "images")
    assert (sheet[:, :900] == img[0]).all()
    assert (sheet[:, 901:] == img[1]).all()
    assert (sheet[:, 900] == images.GREY).all()
