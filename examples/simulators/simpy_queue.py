"""A queue at one counter: how a little more load makes people wait forever.

Customers arrive at random times, and each takes a random time to be served, one after
the other (an M/M/1 queue in theory). As long as their rate is below that of the
service, the queue has the mean length ``load**2 / (1 - load)``: half a customer with a
load of 50 %, three with 80 %, eighteen with 95 %. Here, the load grows from week to
week.

    pip install simpy
    python simpy_queue.py
    tensorboard --logdir runs

What to look at: SCALARS, where *Queue/length* has the hours of simulated time on its
RELATIVE axis: the same counter, hardly busier, and the queue explodes. It is logged
whenever it changes; *Queue/mean of a week* weights each length by how long it lasted.
HISTOGRAMS show how long the last customers waited: most of them not at all, and some
very long.
"""

from __future__ import annotations

import argparse
import random
from collections import deque
from collections.abc import Iterator

import simpy

from annarchy_tb import Logger
from annarchy_tb.hooks import simpy as hook

SERVICE = 5.0  # minutes, on average
WEEK = 7 * 24 * 60.0  # minutes
LOADS = (0.5, 0.8, 0.95)


class Counter:
    """One clerk, and the waiting customers."""

    def __init__(self, env: simpy.Environment, seed: int) -> None:
        """Open the counter; customers arrive for as long as the simulation runs."""
        self.env = env
        self.rng = random.Random(seed)
        self.clerk = simpy.Resource(env)
        self.waited: deque[float] = deque([0.0], maxlen=200)  # minutes, the latest
        self.load = LOADS[0]
        env.process(self.arrivals())

    def arrivals(self) -> Iterator[simpy.Event]:
        """Let customers arrive at a rate of load / SERVICE."""
        while True:
            yield self.env.timeout(self.rng.expovariate(self.load / SERVICE))
            self.env.process(self.customer())

    def customer(self) -> Iterator[simpy.Event]:
        """Wait for the clerk, and be served."""
        came = self.env.now
        with self.clerk.request() as turn:
            yield turn
            self.waited.append(self.env.now - came)
            yield self.env.timeout(self.rng.expovariate(1 / SERVICE))


def main() -> None:
    """Run the simulation."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--logdir", default="runs", help="directory of all runs")
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()

    env = simpy.Environment()
    counter = Counter(env, arguments.seed)

    with Logger(arguments.logdir, time_unit="min") as logger:
        logger.add_parameters({"service": SERVICE, "seed": arguments.seed})
        logger.describe("Queue/length", "customers who wait")
        logger.describe("Waited", "minutes, of the last 200 customers")
        mean = logger.window("Queue/mean of a week")
        since, held = 0.0, 0

        def length() -> int:
            """Weight the last length by how long it was held, and return the next."""
            nonlocal since, held
            mean.add(held, weight=env.now - since, time=env.now)
            since, held = env.now, len(counter.clerk.queue)
            return held

        often = {"Queue/length": length, "Load": lambda: counter.load}
        hook.sample(logger, env, often, on="change")
        hook.sample(logger, env, {"Waited": lambda: counter.waited}, every=12 * 60.0)
        for week, load in enumerate(LOADS):
            counter.load = load
            env.run(until=(week + 1) * WEEK)
            length()
            mean.flush()
            theory = load**2 / (1 - load)
            logger.add_scalar("Queue/mean in theory", theory, time=env.now)

    print(f"Logged to {logger.run_dir}")
    print(f"Look at it with: tensorboard --logdir {arguments.logdir}")


if __name__ == "__main__":
    main()
