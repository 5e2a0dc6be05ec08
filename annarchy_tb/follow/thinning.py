"""Thinning: fewer points a second, such that no peak is missed."""

from __future__ import annotations

import math

from annarchy_tb.kinds.extremes import choose
from annarchy_tb.kinds.scalar import Scalars
from annarchy_tb.reading.news import News

FEWEST = 2  # points of a tag and piece of news, which are always kept


class Thinning:
    """At most so many points a second of one run, as they were logged.

    What is left out depends only on the points: it is the same if the run is followed
    while it is written, or later, up to where one piece of news ends. At least two
    points of a tag are kept of each piece.

    Parameters
    ----------
    rate
        Points a second, for all tags together.
    """

    _rate: float
    _left: float  # points that may still be pushed
    _last: float | None  # the real time of the last point

    def __init__(self, rate: float) -> None:
        self._rate = rate
        self._left = rate
        self._last = None

    def thin(self, news: News) -> tuple[News, int]:
        """Return news with fewer points, and how many were left out."""
        if not news.points:
            return news, 0
        number = sum(len(its.steps) for its in news.points.values())
        allowed = self._allowed(news)
        left = min(allowed, number)
        kept: dict[str, Scalars] = {}
        rest = number
        # Those with few points first, for they leave the others what they do not need.
        for tag in sorted(news.points, key=lambda tag: len(news.points[tag].steps)):
            points = news.points[tag]
            share = max(FEWEST, int(left * len(points.steps) / rest)) if rest else 0
            rest -= len(points.steps)
            kept[tag] = _fewer(points, share)
            left = max(0, left - len(kept[tag].steps))
        pushed = sum(len(its.steps) for its in kept.values())
        self._left = max(0.0, allowed - pushed)
        return news._replace(points={tag: kept[tag] for tag in news.points}), (
            number - pushed
        )

    def _allowed(self, news: News) -> float:
        """Return how many points may be pushed, by the real times of these."""
        walls = [its.wall_times for its in news.points.values()]
        first = min(float(its.min()) for its in walls)
        last = max(float(its.max()) for its in walls)
        since = max(0.0, last - (first if self._last is None else self._last))
        span = last - first
        if not math.isfinite(span + since):
            span = since = 0.0
        else:
            self._last = last if self._last is None else max(last, self._last)
        # What was not used for long is not saved up: at most for one second.
        return min(self._left + self._rate * since, self._rate * max(1.0, span))


def _fewer(points: Scalars, most: int) -> Scalars:
    """Return at most so many of the points, among them the extremes."""
    if len(points.steps) <= most:
        return points
    [drawn] = choose(points.numeric().values[:, None], most)
    return Scalars.of([column[drawn.rows] for column in points])
