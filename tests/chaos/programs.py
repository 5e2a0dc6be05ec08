"""Programs: what processes do to one run, and what happens to them; from a seed.

A program is a JSON object::

    seed, place          "disk", "memory", or "small": a file system of a few MiB
    processes            one after the other, each with
      fresh              whether it starts a new interpreter, or is forked from this one
      leaves             whether Ctrl-C ends the session, or is caught
      faults             errors and signals at the n-th system call: see `faults`
      call               a signal at the n-th call that the package makes, or None
      signals            signals from outside, after the n-th report
      sessions           one after the other, each with
        open             "x", "a", "w" or "resume"
        ops              see `calls`; also thread, fork, join, checkpoint, flush,
                         parameters, phase, fill, free
        end              "close", "with", "raise", "none"
"""

from __future__ import annotations

import copy
import random
from collections.abc import Iterator
from typing import Any

Program = dict[str, Any]

ERRORS = ("EIO", "ENOSPC", "EDQUOT", "EFBIG")


def operations(process: Program) -> Iterator[dict[str, Any]]:
    """Yield all operations of a process, also those of its threads and children."""
    waiting = [op for session in process["sessions"] for op in session["ops"]]
    while waiting:
        op = waiting.pop()
        yield op
        waiting += op.get("ops", ())


def interrupted(process: Program) -> bool:
    """Return whether a process may get SIGINT."""
    call, signals = process["call"], process["signals"]
    return (
        any(fault["effect"] == "interrupt" for fault in process["faults"])
        or any(one["signal"] == "INT" for one in signals)
        or bool(call and call["effect"] == "interrupt")
    )


def size(program: Program) -> int:
    """Return how long a program is."""
    return sum(
        1 + len(process["faults"]) + len(process["signals"]) + bool(process["call"])
        + sum(1 + op.get("times", 1) for op in operations(process))
        + len(process["sessions"])
        for process in program["processes"]
    )  # fmt: skip


# -- generation ------------------------------------------------------------------------


def generate(seed: int) -> Program:
    """Return the program of a seed."""
    return _Generator(seed).program()


class _Generator:
    def __init__(self, seed: int) -> None:
        self.seed = seed
        self.rng = random.Random(seed)
        self.place = self.rng.choice(["disk", "disk", "memory", "small"])
        self.last = 0  # id

    def program(self) -> Program:
        number = self.rng.choice([1, 2, 2, 3, 4])
        processes = [self.process(first=not at) for at in range(number)]
        return {
            "seed": self.seed,
            "place": self.place,
            "processes": [*processes, self.check()],
        }

    def check(self) -> Program:
        """Return the process that finds the run in order again, and ends well."""
        ops = [self.op("scalar"), self.op("log"), self.op("series", size=10)]
        session = {"open": "a", "ops": ops, "end": "close"}
        return self.quiet([session])

    def quiet(self, sessions: list[Program]) -> Program:
        nothing = {"faults": [], "call": None, "signals": []}
        return {"fresh": False, "leaves": True, **nothing, "sessions": sessions}

    def op(self, do: str, **more: Any) -> Program:
        self.last += 1
        return {"do": do, "id": self.last, **more}

    def process(self, first: bool) -> Program:
        rng = self.rng
        number = rng.choice([1, 1, 1, 2, 3])
        sessions = [self.session(first and not at) for at in range(number)]
        if rng.random() < 0.1:
            sessions[-1]["end"] = "none"
        process = self.quiet(sessions)
        process["fresh"] = rng.random() < 0.06
        process["leaves"] = rng.random() < 0.6
        calls = sum(op.get("times", 1) for op in operations(process))
        danger = rng.choice(["none", "kill", "errors", "errors", "call", "outside"])
        if danger == "kill" or (danger == "errors" and rng.random() < 0.4):
            process["faults"].append(self.deadly(calls))
        if danger == "errors":
            process["faults"] += [self.error(calls) for _ in range(rng.randrange(1, 4))]
        if danger == "call":
            effect = rng.choice(["kill", "interrupt"])
            process["call"] = {"at": self.early(calls * 60 + 2500), "effect": effect}
        if danger == "outside":
            process["signals"] = self.signals(calls)
        return process

    def early(self, most: int) -> int:
        """Return a number below `most`; as often a small one as a large one."""
        rng = self.rng
        return (
            rng.randrange(most) if rng.random() < 0.6 else rng.randrange(most // 8 + 1)
        )

    def deadly(self, calls: int) -> Program:
        rng = self.rng
        on = rng.choice(["write", "write", "write", "change", "sync"])
        effects = ["kill", "after", "interrupt"] + ["torn"] * (on == "write")
        effect, number = rng.choice(effects), 1
        if effect == "interrupt":
            number = rng.choice([1, 1, 2, 5])
        most = calls + 30 if on == "write" else 40
        return {"on": on, "at": self.early(most), "number": number, "effect": effect}

    def error(self, calls: int) -> Program:
        rng = self.rng
        on = rng.choice(["write"] * 5 + ["sync", "change", "lock"])
        if on == "write":
            effect = rng.choice([*ERRORS, "short", "short", "EINTR", "ENOSPC"])
            longest = {"EIO": 3, "short": 5, "EFBIG": 3}.get(effect, 60)
            at, number = self.early(calls + 30), rng.randrange(1, longest)
        else:
            of = {"sync": ["slow", "EIO"], "lock": ["EINTR", "ENOLCK"]}
            effect = rng.choice(of.get(on, ["EIO", "ENOSPC", "EDQUOT"]))
            at, number = self.early(40), rng.randrange(1, 6)
        return {"on": on, "at": at, "number": number, "effect": effect}

    def signals(self, calls: int) -> list[Program]:
        rng = self.rng
        name = rng.choice(["KILL", "KILL", "INT", "STOP", "STOP"])
        number = {"KILL": 1, "INT": rng.choice([1, 2, 6]), "STOP": 3}[name]
        places = sorted(self.early(2 * calls + 4) for _ in range(number))
        found = [{"at": at, "signal": name} for at in places]
        if name != "KILL" and rng.random() < 0.5:
            found.append({"at": places[-1] + rng.randrange(20), "signal": "KILL"})
        return found

    # -- one session -------------------------------------------------------------------

    def session(self, first: bool) -> Program:
        rng = self.rng
        ways = ["a", "a", "resume", "resume", "resume", "w", "x"]
        way = rng.choice(["x", "x", "x", "a", "w", "resume"] if first else ways)
        ops: list[Program] = []
        if rng.random() < 0.4:
            ops.append(self.op("parameters"))
        running: set[str] = set()
        self.forked: set[str] = set()  # they continue the steps of their parent only
        for _ in range(rng.choice([1, 3, 6, 12])):
            ops.append(self.main_op(running))
            if ops[-1]["do"] == "join":
                running.clear()
        if running:
            ops.append(self.op("join"))
        end = rng.choice(["close", "with", "with", "raise"])
        return {"open": way, "ops": ops, "end": end}

    def main_op(self, running: set[str]) -> Program:
        rng = self.rng
        kinds = ["log"] * 8 + ["checkpoint"] * 3 + ["thread", "thread", "fork", "fork"]
        kinds += ["flush", "metrics", "phase", "phase"]
        kinds += ["join"] * 2 * bool(running)
        if self.place == "small":
            kinds += ["fill", "free"]
        kind = rng.choice(kinds)
        if kind in ("thread", "fork"):
            free = sorted({f"{kind}{k}" for k in range(3)} - running - self.forked)
            if not free:
                return self.op("join")
            name = rng.choice(free)
            running.add(name)
            if kind == "fork":
                self.forked.add(name)
            ops = [self.logs() for _ in range(rng.choice([1, 3, 6]))]
            more = {"closes": rng.random() < 0.3} if kind == "fork" else {}
            return self.op(kind, name=name, ops=ops, **more)
        if kind == "log":
            return self.logs()
        if kind == "fill":
            return self.op("fill", room=rng.choice([0, 0, 100, 5000, 60_000]))
        return self.op(kind)

    def logs(self) -> Program:
        rng = self.rng
        kinds = ["scalar"] * 4 + ["log"] * 3 + ["scalars", "series", "series", "text"]
        kind = rng.choice([*kinds, "histogram", "image", "raster", "matrix", "html"])
        more: dict[str, Any] = {"tag": rng.randrange(2), "auto": rng.random() < 0.3}
        most = 100 if kind in ("scalar", "log", "scalars") else 6
        more["times"] = rng.choice([1, 1, rng.randrange(1, most)])
        if kind == "series":
            more["size"] = rng.choice([1, 20, 20, 3000])
            if rng.random() < 0.05:
                more["size"] = 150_000  # several blocks
            more["columns"] = rng.choice([1, 1, 2])
            more["dtype"] = rng.choice(["f8", "f8", "f4"])
            more["times"] = min(more["times"], 3)
        if kind in ("text", "html"):
            more["size"] = rng.choice([0, 10, 5000, 20_000])
        return self.op(kind, **more)


# -- shorter programs ------------------------------------------------------------------


def parts(program: Program) -> list[tuple[list[Any], int]]:
    """Return each part that could be removed: the list that has it, and its place."""
    found: list[tuple[list[Any], int]] = []

    def add(those: list[Any]) -> None:
        found.extend((those, at) for at in reversed(range(len(those))))

    add(program["processes"])
    for process in program["processes"]:
        add(process["sessions"])
        for session in process["sessions"]:
            add(session["ops"])
        for op in operations(process):
            if "ops" in op:
                add(op["ops"])
        add(process["faults"])
        add(process["signals"])
    return found


def shorter(program: Program) -> Iterator[Program]:
    """Yield programs that are like this one, but shorter: the shortest first."""
    for number in range(len(parts(program))):
        shorter = copy.deepcopy(program)
        those, at = parts(shorter)[number]
        del those[at]
        yield shorter
    for number, process in enumerate(program["processes"]):
        for place, op in enumerate(operations(process)):
            for times in {1, op.get("times", 1) // 2}:
                if 0 < times < op.get("times", 1):
                    shorter = copy.deepcopy(program)
                    its = list(operations(shorter["processes"][number]))
                    its[place]["times"] = times
                    yield shorter
        if process["call"]:
            shorter = copy.deepcopy(program)
            shorter["processes"][number]["call"] = None
            yield shorter
        for at, fault in enumerate(process["faults"]):
            if fault["number"] > 1:
                shorter = copy.deepcopy(program)
                shorter["processes"][number]["faults"][at]["number"] //= 2
                yield shorter
