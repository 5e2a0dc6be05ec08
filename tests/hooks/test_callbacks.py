"""Adaptors for optimisers, solvers and samplers, with the real ones."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import points, scalars

from annarchy_tb import Logger, Run
from annarchy_tb.hooks import callbacks

scipy = pytest.importorskip("scipy", reason="needs scipy; make hooks runs it")

from scipy import integrate  # noqa: E402
from scipy import optimize as so  # noqa: E402

BOUNDS = [(-5.0, 5.0)] * 2


def values(logger: Logger, tag: str) -> list[float]:
    """Return the values of a tag."""
    found: list[float] = Run(logger.run_dir).scalars(tag).values.tolist()
    return found


@pytest.mark.parametrize("method", ["Nelder-Mead", "BFGS", "L-BFGS-B", "trust-constr"])
def test_each_iteration_of_minimize_is_logged(logger: Logger, method: str) -> None:
    """Its objective, as SciPy has it; the result is that without the callback."""
    alone = so.minimize(so.rosen, [1.3, 0.7], method=method)
    done = so.minimize(
        so.rosen, [1.3, 0.7], method=method, callback=callbacks.optimize(logger)
    )
    assert done.x.tobytes() == alone.x.tobytes()
    found = values(logger, "Objective")
    assert abs(len(found) - done.nit) <= 1
    assert found[-1] == pytest.approx(done.fun, abs=1e-8)
    assert [step for step, _ in scalars(logger.run_dir, "Objective")] == [
        *range(len(found))
    ]


def test_sources_take_the_result(logger: Logger) -> None:
    """Here of each third iteration, as numbers, curves and histograms."""
    seen = []
    log = callbacks.optimize(
        logger,
        {
            "x0": lambda result: result.x[0],
            "curves": lambda result: {"a": result.x[0], "b": result.x[1]},
            "x": lambda result: result.x,
        },
        every=3,
    )

    def both(*, intermediate_result: Any) -> None:
        seen.append(intermediate_result.x[0])
        log(intermediate_result=intermediate_result)

    so.minimize(so.rosen, [1.3, 0.7], method="BFGS", callback=both)
    assert len(seen) > 6
    assert values(logger, "x0") == seen[::3]
    assert len(points(logger.run_dir, "x")) == len(seen[::3])


def test_an_optimizer_that_passes_x_only_needs_sources(logger: Logger) -> None:
    """The error at the first iteration says how, and the sources then work."""
    with pytest.raises(ValueError, match="this optimizer passes x only; use sources"):
        so.minimize(
            so.rosen, [1.3, 0.7], method="TNC", callback=callbacks.optimize(logger)
        )
    log = callbacks.optimize(logger, {"f": lambda result: so.rosen(result.x)})
    so.minimize(so.rosen, [1.3, 0.7], method="TNC", callback=log)
    assert values(logger, "f")[-1] < values(logger, "f")[0]


def test_global_optimizers_have_the_same_callback(logdir: Path) -> None:
    """Whether they pass a result, or x and the objective, or more; none is stopped."""

    def evolution(**its: Any) -> Any:
        return so.differential_evolution(so.rosen, BOUNDS, rng=1, maxiter=20, **its)

    def annealing(**its: Any) -> Any:
        return so.dual_annealing(so.rosen, BOUNDS, rng=1, maxiter=50, **its)

    def hopping(**its: Any) -> Any:
        return so.basinhopping(so.rosen, [2.0, 2.0], rng=1, niter=5, **its)

    for run in (evolution, annealing, hopping):
        if "rng" not in inspect.signature(so.differential_evolution).parameters:
            pytest.skip("needs SciPy 1.15")
        with Logger(logdir, run.__name__) as logger:
            done = run(callback=callbacks.optimize(logger))
        assert done.x.tobytes() == run().x.tobytes()
        assert min(values(logger, "Objective")) == pytest.approx(done.fun, abs=1e-2)


def test_residuals_are_a_histogram(logger: Logger) -> None:
    """Of root, the objective is a vector."""
    done = so.root(
        lambda x: [x[0] ** 2 - 2, x[1] - x[0]],
        [1.0, 1.0],
        method="krylov",
        callback=callbacks.optimize(logger),
    )
    assert done.success
    assert points(logger.run_dir, "Objective")[0].array[:, 2].sum() == 2


def decay(t: float, y: Any, rate: float = 1.0) -> Any:
    """Return the derivative of an oscillation that fades."""
    return [y[1], -rate * y[0] - 0.1 * y[1]]


@pytest.mark.parametrize("method", ["RK45", "LSODA", "BDF"])
def test_each_step_of_a_solver_is_logged(logdir: Path, method: str) -> None:
    """The steps that it accepts, with their times; the solution is that without it."""
    arguments: Any = (decay, (0.0, 20.0), [1.0, 0.0], method)
    alone = integrate.solve_ivp(*arguments)
    with Logger(logdir, "run", time_unit="s") as logger:
        sources = {"y": lambda t, y: y[0], "energy": lambda t, y: y @ y}
        event = callbacks.solve_ivp(logger, sources)
        done = integrate.solve_ivp(*arguments, events=event)
    assert done.y.tobytes() == alone.y.tobytes()
    assert done.nfev == alone.nfev
    found = Run(logger.run_dir).scalars("y")
    assert found.times.tolist() == done.t.tolist()
    assert found.values.tobytes() == done.y[0].tobytes()


def test_a_solver_may_have_events_and_arguments_besides(
    logger: Logger, capsys: pytest.CaptureFixture[str]
) -> None:
    """They are left alone; here with every other step, and a bar."""

    def crossing(t: float, y: Any, rate: float) -> Any:
        return y[0]

    log = callbacks.solve_ivp(logger, {"y": lambda t, y: y[0]}, every=2, until=40.0)
    done = integrate.solve_ivp(
        decay, (0.0, 20.0), [1.0, 0.0], events=[crossing, log], args=(2.0,)
    )
    assert len(done.t_events[0]) == 9
    assert len(done.t_events[1]) == 0
    times = Run(logger.run_dir).scalars("y").times
    assert times.tolist() == done.t[::2].tolist()
    logger.close()
    percent = round(times[-1] / 40 * 100)
    assert capsys.readouterr().err.startswith(f"{percent}% ")


def test_each_sample_of_emcee_is_logged(logdir: Path) -> None:
    """The chain is that without it, and all states are passed on."""
    emcee = pytest.importorskip("emcee", reason="needs emcee; make hooks runs it")

    def sampled(logger: Logger | None) -> Any:
        start = np.random.default_rng(1).normal(size=(8, 2))
        sampler = emcee.EnsembleSampler(8, 2, lambda x: -0.5 * (x @ x))
        sampler._random.seed(3)
        samples = sampler.sample(start, iterations=20)
        if logger is not None:
            samples = callbacks.emcee(logger, samples)
        assert len([*samples]) == 20
        return sampler

    with Logger(logdir, "run") as logger:
        chain = sampled(logger).get_chain()
    again = sampled(None)
    assert chain.tobytes() == again.get_chain().tobytes()
    means = again.get_log_prob().mean(axis=1)
    assert values(logger, "Log probability") == means.tolist()
    with Logger(logdir, "own") as logger:
        states = again.sample(chain[-1], iterations=10)
        sources = {
            "walkers": lambda state: state.coords,
            "accepted": lambda _: again.acceptance_fraction.mean(),
        }
        for _ in callbacks.emcee(logger, states, sources, every=5):
            pass
    assert [p.array[:, 2].sum() for p in points(logger.run_dir, "walkers")] == [16, 16]
    assert len(values(logger, "accepted")) == 2


def test_each_generation_of_pymoo_is_logged(logdir: Path) -> None:
    """With one objective or several, with a history; the result is that without it."""
    pytest.importorskip("pymoo", reason="needs pymoo; make hooks runs it")
    from pymoo.algorithms.moo.nsga2 import NSGA2
    from pymoo.algorithms.soo.nonconvex.ga import GA
    from pymoo.optimize import minimize
    from pymoo.problems import get_problem

    with Logger(logdir, "one") as logger:
        run: Any = (get_problem("sphere", n_var=2), GA(pop_size=10), ("n_gen", 6))
        log = callbacks.pymoo(logger)
        done = minimize(*run, seed=1, callback=log, save_history=True)
    assert done.X.tobytes() == minimize(*run, seed=1).X.tobytes()
    found = Run(logger.run_dir).scalars("Objective")
    assert found.steps.tolist() == [*range(1, 7)]
    assert found.values[-1] == done.F[0]
    assert (np.diff(found.values) <= 0).all()
    with Logger(logdir, "two") as logger:
        sources = {
            "Objective": callbacks._least,
            "F": lambda algorithm: algorithm.pop.get("F"),
        }
        algorithm = NSGA2(pop_size=12, callback=callbacks.pymoo(logger, sources, 2))
        done = minimize(get_problem("zdt1", n_var=3), algorithm, ("n_gen", 5), seed=1)
    curves = Run(logger.run_dir).curves("Objective")
    assert curves["0"].steps.tolist() == [1, 3, 5]
    assert curves["1"].values[-1] == done.F[:, 1].min()
    assert [p.array[:, 2].sum() for p in points(logger.run_dir, "F")] == [24] * 3


def test_nothing_is_logged_once_the_logger_is_closed(logdir: Path) -> None:
    """The optimizer goes on."""
    with Logger(logdir, "run") as logger:
        log = callbacks.optimize(logger)
    assert so.minimize(so.rosen, [1.3, 0.7], callback=log).success
    assert "Objective" not in Run(logger.run_dir).tags()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda logger: callbacks.optimize(3), "a Logger must come first, got 3"),
        (lambda logger: callbacks.optimize(logger, {}), "there are no sources"),
        (
            lambda logger: callbacks.optimize(logger, {"a": 3}),
            r"sample\('a'\): .*got 3",
        ),
        (lambda logger: callbacks.pymoo(logger, {"a": lambda: 1}), "takes the state"),
        (lambda logger: callbacks.optimize(logger, every=0), "every must be a whole"),
        (
            lambda logger: callbacks.solve_ivp(logger, {"a": lambda y: 1}),
            "takes t and y",
        ),
        (lambda logger: callbacks.emcee(logger, 3), "samples must be an iterable"),
    ],
)
def test_bad_arguments_are_refused_at_once(
    logger: Logger, call: Any, message: str
) -> None:
    """The error says what is allowed and was given."""
    with pytest.raises((TypeError, ValueError), match=message):
        call(logger)
