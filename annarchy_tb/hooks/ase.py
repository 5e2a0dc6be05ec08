"""ASE: samples taken by ``attach()`` while a dynamics or an optimizer runs.

::

    from annarchy_tb import Logger
    from annarchy_tb.hooks import ase

    with Logger(time_unit="fs") as logger:
        sources = {"Epot (eV)": atoms.get_potential_energy}
        ase.sample(logger, dyn, sources, every=10)
        dyn.run(1000)
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, SupportsFloat, SupportsIndex

from annarchy_tb.hooks.sampling import METHOD, Sampler, checked, function, whole
from annarchy_tb.hooks.until import STEPS, Progress
from annarchy_tb.inputs.importing import importing
from annarchy_tb.inputs.messages import describe
from annarchy_tb.logger import Logger


def sample(
    logger: Logger,
    dyn: Any,
    sources: Mapping[str, Any],
    every: SupportsIndex = 1,
    *,
    until: SupportsFloat | None = None,
    show: str | Sequence[str] = (),
) -> None:
    """Log sources while an ASE dynamics or optimizer runs.

    Parameters
    ----------
    logger : Logger
        For molecular dynamics, with ``time_unit="fs"`` or ``"ps"``. Sampling ends when
        it is closed.
    dyn : ase.md or ase.optimize object
        Any object with ``attach()`` and ``nsteps``.
    sources : dict
        The source to read at each sample, by its tag: a callable without arguments,
        such as ``atoms.get_potential_energy``. `annarchy_tb.hooks` says how its values
        are logged.
    every : int, default 1
        The number of steps between two samples.
    until : float, optional
        The time in fs, or the step of an optimizer, at which the simulation
        will end, for a progress bar: tqdm's on a terminal and in notebooks, elsewhere a
        line of text at most once a minute.
    show : str, or sequence of str
        Tags whose last values are shown after the bar.

    Notes
    -----
    The first sample is taken at step 0, before the first step; further calls of
    ``run()`` continue. The step is ``dyn.nsteps``, and the time ``dyn.get_time()``.
    Optimizers have no simulated time, so their samples have the wall-clock time.

    Exceptions raised by a source propagate out of ``run()``.

    Raises
    ------
    TypeError, ValueError
        If an argument is invalid; the error says which.
    """
    reads = checked(
        logger,
        sources,
        lambda _, source: function(source),
        "a callable without arguments, such as atoms.get_potential_energy",
    )
    interval = whole(every, "steps")
    if not (hasattr(dyn, "attach") and hasattr(dyn, "nsteps")):
        raise TypeError(
            f"{METHOD}: dyn must be a dynamics or an optimizer of ASE, "
            f"got {describe(dyn)}"
        )
    with importing:
        from ase import units

    if hasattr(dyn, "get_time"):

        def now() -> float:
            # ASE's internal unit of time is not a simple fraction of a fs.
            time: float = dyn.get_time() / units.fs
            return time

        bar = Progress.made(logger, until, show, "fs", now)
        timed = Sampler(logger, reads, "fs", progress=bar)
        dyn.attach(lambda: timed(dyn.nsteps, now()), interval)
    else:
        bar = Progress.made(logger, until, show, STEPS, lambda: dyn.nsteps)
        sampler = Sampler(logger, reads, progress=bar)
        dyn.attach(lambda: sampler(dyn.nsteps), interval)
