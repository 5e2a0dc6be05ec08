"""Sample a running simulation with its framework's own mechanism.

There is one module per framework, each with a function ``sample``::

    from annarchy_tb import Logger
    from annarchy_tb.hooks import annarchy

    with Logger(dt=net.dt) as logger:
        annarchy.sample(logger, net, {"Rate": lambda: pop.r.mean()}, every=10.0)
        net.simulate(1000.0)

A source is logged by what it gives: one number as a scalar, a dict of numbers as
several curves on one plot, a matplotlib Figure as an image (it is then closed), and
anything with several values as a histogram. The type of its first value decides.
The measures of `annarchy_tb.measures` are sources of all hooks.
Quantities are logged as the Logger logs them: in the unit of the first one. If the
Logger is disabled, sources are read just as often, for they may be collective.

`raster`, `matrix` and `image` around a source log its values as pictures::

    from annarchy_tb.hooks import annarchy, image, matrix, raster

    sources = {
        "Spikes": raster(lambda: monitor.get("spike"), groups={"E": 160, "I": 40}),
        "Weights": matrix(lambda: proj),
        "Field": image((pop, "r"), vmin=0, vmax=1, cmap="viridis"),
    }
    annarchy.sample(logger, net, sources, every=1000.0)

The modules are ``annarchy``, ``ase``, ``brian2``, ``mesa``, ``nengo``, ``openmm`` and
``simpy``. None imports its framework before ``sample`` is called. The module
``callbacks`` has adaptors for SciPy, emcee and pymoo.
"""

from annarchy_tb.hooks.pictures import image, matrix, raster

__all__ = ["image", "matrix", "raster"]
