"""ASE: samples by ``attach()`` while a dynamics or an optimizer runs.

::

    from annarchy_tb import Logger
    from annarchy_tb.hooks import ase

    with Logger(time_unit="fs") as logger:
        sources = {"Epot (eV)": atoms.get_potential_energy}
        ase.sample(logger, dyn, sources, every=10)
        dyn.run(1000)
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from annarchy_tb.hooks.sampling import METHOD, Sampler, checked, function, whole
from annarchy_tb.inputs.messages import describe
from annarchy_tb.logger import Logger


def sample(
    logger: Logger, dyn: Any, sources: Mapping[str, Any], every: int = 1
) -> None:
    """Log sources while ASE moves atoms.

    Parameters
    ----------
    logger : Logger
        For molecular dynamics of ``time_unit="fs"`` or ``"ps"``. Once it is closed, the
        sampling ends.
    dyn : ase.md or ase.optimize object
        Whatever has ``attach()`` and ``nsteps``.
    sources : dict
        By its tag, what is called at each sample: a callable without arguments, such as
        ``atoms.get_potential_energy``. One number is a scalar, a dict of numbers
        several curves on one plot, a matplotlib Figure an image (it is closed), and
        anything with several values a histogram. What a source gives first decides.
    every : int, default 1
        Steps between two samples.

    Notes
    -----
    The first sample is that of step 0, before the first step; ``run()`` called again
    goes on. The step is ``dyn.nsteps``, the time that of ``dyn.get_time()``. An
    optimizer has no time: its samples have that of the clock on the wall.

    What a source raises comes out of ``run()``.

    Raises
    ------
    TypeError, ValueError
        If an argument is not what it must be; the error says which.
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
    from ase import units

    if hasattr(dyn, "get_time"):
        timed = Sampler(logger, reads, "fs")
        # ASE's own unit of time is neither a fs nor a whole part of one.
        dyn.attach(lambda: timed(dyn.nsteps, dyn.get_time() / units.fs), interval)
    else:
        sampler = Sampler(logger, reads)
        dyn.attach(lambda: sampler(dyn.nsteps), interval)
