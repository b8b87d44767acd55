"""Which share of a batch is the model's: a bandit over what proposals added to the front.

Two arms, the model and the optimiser. After a round the model's worth is its part of the
hypervolume gained per proposal, m / (m + o): a half where both are equally good, which is
the 30% that a hybrid begins with, 0 where only the optimiser's designs gain. The share
moves towards :data:`MOST` times that worth, so it stays between 0 and 60% (a hybrid wins at
30% of the trials and degrades at 80%: arXiv 2603.24647). At 0 a single proposal every ten
rounds probes, so that a recovered model comes back.
"""

from __future__ import annotations

from collections.abc import Sequence

from archwright.agents.frontier import Frontier, Pairings
from archwright.agents.hybrid.notebook import Advice
from archwright.agents.problem import Evaluated, Problem

FIRST = 0.3
MOST = 0.6
PACE = 0.45
"""How far one round moves the share: after three worthless rounds a sixth is left of it."""
LEAST = 0.06
"""A share below this is none: it would be one proposal in seventeen."""
PROBE_EVERY = 10


def worth(
    problem: Problem,
    pairings: Pairings,
    evaluated: Sequence[Evaluated],
    advice: Sequence[Advice],
) -> float | None:
    """The model's part of what the last asked round gained per proposal, 0 to 1.

    ``advice`` is everything of one step. Proposals that were turned down count with a gain
    of 0. None where the round says nothing: neither side gained, or there was one side only.
    """
    step = advice[0].step
    own = {key for one in advice for key in one.networks}
    refused = sum(one.refused for one in advice)
    before = Frontier(problem, pairings)
    before.add([e for e in evaluated if e.step < step])
    gains: dict[bool, list[float]] = {True: [0.0] * refused, False: []}
    for network in (e for e in evaluated if e.step == step):
        gains[network.key in own].append(before.gain(network))
    if not gains[True] or (own and not gains[False]):
        return None
    model = sum(gains[True]) / len(gains[True])
    optimiser = sum(gains[False]) / max(len(gains[False]), 1)
    if model + optimiser == 0.0:
        return 0.0 if refused and not own else None
    return model / (model + optimiser)


def next_share(share: float, worth: float | None) -> float:
    """The share after a round that was worth this much; unchanged where it says nothing."""
    if worth is None:
        return share
    moved = share + PACE * (MOST * worth - share)
    return moved if moved >= LEAST else 0.0


def allowance(share: float, before: int, designs: int) -> int:
    """How many of the next ``designs`` are the model's, after ``before`` designs of the run.

    A share of all designs so far: in small batches it has its say now and then.
    """
    return int(share * (before + designs)) - int(share * before)


def probes(step: int, last_asked: int) -> bool:
    """Whether a model without a share is asked for one proposal in this step."""
    return step - last_asked >= PROBE_EVERY
