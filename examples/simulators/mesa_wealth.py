"""Equal agents trade at random, and wealth becomes unequal.

A hundred agents have ten coins each. In every step, each agent gives one of its coins,
if it has any, to an agent chosen at random. Although no agent is cleverer than the
others, wealth becomes distributed like the energies in a gas: exponentially, with many
poor agents, few rich ones, and a Gini coefficient near 0.5. A tax of 2 % per step,
distributed evenly (``--tax 0.02``), keeps it near 0.3. (A. Dragulescu and V. M.
Yakovenko, "Statistical mechanics of money", European Physical Journal B 17, 2000.)

    pip install mesa
    python mesa_wealth.py
    python mesa_wealth.py --tax 0.02
    tensorboard --logdir runs

What to look at: SCALARS, where *Gini* rises from 0; HISTOGRAMS, where *Wealth* starts
as a single peak, becomes a bell curve, and shifts to the left.
"""

from __future__ import annotations

import argparse

import mesa
import numpy as np

from annarchy_tb import Logger
from annarchy_tb.hooks import mesa as hook

COINS = 10  # of each agent, initially


class Trader(mesa.Agent):
    """An agent with coins."""

    def __init__(self, model: mesa.Model) -> None:
        """Start with the same number of coins as all others."""
        super().__init__(model)
        self.wealth = COINS

    def trade(self) -> None:
        """Give a coin to a random agent, possibly to itself."""
        if self.wealth:
            self.wealth -= 1
            self.random.choice(self.model.agents).wealth += 1


class Economy(mesa.Model):
    """Traders, and a tax that is distributed evenly."""

    def __init__(self, number: int, tax: float, seed: int) -> None:
        """Create the traders, and collect their initial wealth."""
        super().__init__(seed=seed)
        self.tax = tax
        Trader.create_agents(self, number)
        self.datacollector = mesa.DataCollector(
            {
                "Gini": lambda model: gini(model.wealth()),
                "Wealth": lambda model: model.wealth(),
                "Bankrupt": lambda model: int(np.sum(model.wealth() == 0)),
            }
        )
        self.datacollector.collect(self)

    def wealth(self) -> np.ndarray:
        """Return the coins of all agents, shape (number,)."""
        return np.array(self.agents.get("wealth"))

    def step(self) -> None:
        """Let every agent trade once, then tax."""
        self.agents.shuffle_do("trade")
        if self.tax:
            self.redistribute()
        self.datacollector.collect(self)

    def redistribute(self) -> None:
        """Take a share of every agent's coins, and distribute them at random."""
        for agent in self.agents:
            taken = int(self.rng.binomial(agent.wealth, self.tax))
            agent.wealth -= taken
            for _ in range(taken):
                self.random.choice(self.agents).wealth += 1


def gini(wealth: np.ndarray) -> float:
    """Return 0 if all are equally rich, and almost 1 if one agent has everything."""
    ordered = np.sort(wealth)
    number = len(ordered)
    share = np.sum(np.arange(1, number + 1) * ordered) / (number * ordered.sum())
    return float(2 * share - (number + 1) / number)


def main() -> None:
    """Run the simulation."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=400)
    parser.add_argument("--tax", type=float, default=0.0, help="share taken each step")
    parser.add_argument("--logdir", default="runs", help="directory of all runs")
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()

    model = Economy(100, arguments.tax, arguments.seed)
    with Logger(arguments.logdir) as logger:
        logger.add_parameters({"tax": arguments.tax, "seed": arguments.seed})
        logger.describe("Wealth", "coins of each agent")
        hook.sample(logger, model, {"Gini": "Gini", "Bankrupt": "Bankrupt"})
        hook.sample(logger, model, {"Wealth": "Wealth"}, every=20)
        for _ in range(arguments.steps):
            model.step()
        logger.add_metrics({"Final/Gini": gini(model.wealth())})

    print(f"Logged to {logger.run_dir}")
    print(f"Look at it with: tensorboard --logdir {arguments.logdir}")


if __name__ == "__main__":
    main()
