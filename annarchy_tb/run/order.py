"""The order of a tag's points: the next step, and warnings if it goes back."""

from __future__ import annotations

from annarchy_tb.inputs.clock import MAX_STEP
from annarchy_tb.run.ledger import NEVER

Problem = tuple[str, str]  # the subject, such as "order", and a message

COUNT_ON = (
    "leave step out to count automatically; where it begins again, as for each trial, "
    "write 'with logger.phase(\"name\"):'"
)
AFTER_RESET = (
    "begin what follows by 'with logger.phase(\"name\"):', or let time continue"
)
APPENDED = "appended"
INHERITED = "inherited"


def follow(
    last: int,
    last_time: float,
    step: int | None,
    time: float | None,
    dt: float | None = None,
) -> tuple[int, Problem | None]:
    """Return the step of the next point, and the problem with its order, if any.

    Parameters
    ----------
    last, last_time
        The last step, and the last simulated time.
    step
        The next step; None for an automatic one.
    time
        The next simulated time, if it has one.
    dt
        What the step was counted by from simulated time, if it was.

    Raises
    ------
    ValueError
        If there is no larger step than the last one.
    """
    back = time is not None and time < last_time
    if step is None:
        if last == MAX_STEP:
            raise ValueError(f"step can't be left out after {MAX_STEP}")
        step = 0 if last == NEVER else last + 1
    elif step <= last:
        return step, goes_back(step, last, back, dt)
    return step, time_goes_back() if back else None


def goes_back(
    step: int, last: int, reset: bool = False, dt: float | None = None
) -> Problem:
    """Describe the problem that `step` does not exceed `last`.

    Parameters
    ----------
    step, last
        The two.
    reset
        Whether simulated time goes back, too.
    dt
        What the step was counted by from simulated time, if it was.
    """
    if reset:
        advice = f"after a reset of the network, {AFTER_RESET}"
    elif dt is None:
        advice = COUNT_ON
    elif step == last:
        advice = "times closer than dt share a step. Pass step=, or a smaller dt"
    else:
        advice = "pass step= in all calls with this tag, or in none"
    came = f"comes after step {last}" if step < last else "comes again"
    return (
        "order",
        f"step {step}{_counted(dt)} {came}; TensorBoard hides the points of this "
        f"tag from step {step} on. Steps should increase: {advice}",
    )


def goes_back_in_history(step: int, last: int, dt: float | None = None) -> Problem:
    """Describe the problem that `step` does not exceed the last one before an append.

    The subject is that of the whole run; `dt` is as in `goes_back`.
    """
    advice = COUNT_ON if dt is None else "let time continue from the end of the run"
    return (
        APPENDED,
        f"the run already has data up to step {last} of this tag, and step {step}"
        f"{_counted(dt)} follows; TensorBoard hides earlier points from there on, also "
        f"those of other tags whose steps go back. {advice[0].upper()}{advice[1:]}, or "
        f"start the run over: mode='w'",
    )


def inherited() -> Problem:
    """Describe the problem that another process had begun a tag.

    The subject is that of the whole run.
    """
    return (
        INHERITED,
        "this tag was begun by the process, or the Logger, that this one comes from. "
        "Each writes a file of its own, and where their steps overlap, TensorBoard "
        "shows some of the points only: give each process its own run, or its own key "
        "of add_scalars",
    )


def _counted(dt: float | None) -> str:
    """Say where a step comes from that was left out."""
    return "" if dt is None else f" (counted from time by dt={dt:g})"


def time_goes_back() -> Problem:
    """Describe the problem that simulated time goes back."""
    return (
        "time",
        f"simulated time goes back; on the RELATIVE axis, TensorBoard draws new "
        f"points over earlier ones. After a reset of the network, {AFTER_RESET}",
    )
