"""The order of a tag's points: the next step, and warnings if it goes back."""

from __future__ import annotations

from annarchy_tb.inputs.clock import MAX_STEP
from annarchy_tb.run.ledger import NEVER

Problem = tuple[str, str]  # the subject, such as "order", and a message

COUNT_ON = "leave step out to count automatically"
AFTER_RESET = "let time continue, or make a new Logger"
APPENDED = "appended"


def follow(
    last: int, last_time: float, step: int | None, drawn: float | None
) -> tuple[int, Problem | None]:
    """Return the step of the next point, and the problem with its order, if any.

    Parameters
    ----------
    last, last_time
        The last step, and the wall time at which the last simulated time is drawn.
    step
        The next step; None for an automatic one.
    drawn
        The wall time at which the next simulated time is drawn, if it has one.

    Raises
    ------
    ValueError
        If there is no larger step than the last one.
    """
    back = drawn is not None and drawn < last_time
    if step is None:
        if last == MAX_STEP:
            raise ValueError(f"step can't be left out after {MAX_STEP}")
        step = 0 if last == NEVER else last + 1
    elif step <= last:
        return step, goes_back(step, last, back)
    return step, time_goes_back() if back else None


def goes_back(step: int, last: int, reset: bool = False) -> Problem:
    """Describe the problem that `step` does not exceed `last`, maybe after a reset."""
    advice = f"after a reset of the network, {AFTER_RESET}" if reset else COUNT_ON
    came = f"comes after step {last}" if step < last else "comes again"
    return (
        "order",
        f"step {step} {came}; TensorBoard hides the points of this "
        f"tag from step {step} on. Steps should increase: {advice}",
    )


def goes_back_in_history(step: int, last: int) -> Problem:
    """Describe the problem that `step` does not exceed the last one before an append.

    The subject is that of the whole run.
    """
    return (
        APPENDED,
        f"the run already has data up to step {last} of this tag, and step {step} "
        f"follows; TensorBoard hides earlier points from there on, also those of other "
        f"tags whose steps go back. {COUNT_ON[0].upper()}{COUNT_ON[1:]}, or start the "
        f"run over: mode='w'",
    )


def time_goes_back() -> Problem:
    """Describe the problem that simulated time goes back."""
    return (
        "time",
        f"simulated time goes back; on the RELATIVE axis, TensorBoard draws new "
        f"points over earlier ones. After a reset of the network, {AFTER_RESET}",
    )
