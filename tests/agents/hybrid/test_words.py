"""What a proposer's model is told, and that it stays short however much is known."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import numpy as np
import pytest

from archwright.agents.costing import Costing
from archwright.agents.critic import ModelCritic, RuleBasedCritic, Situation
from archwright.agents.evaluator import ModelEvaluator, RuleBasedEvaluator
from archwright.agents.frontier import Frontier, Pairings
from archwright.agents.hybrid import words
from archwright.agents.hybrid.levels import Levels, LevelState, levels_of, states_of, thin
from archwright.agents.hybrid.notebook import PlainNotebook
from archwright.agents.hybrid.proposer import ModelProposer
from archwright.agents.model.prompt import estimated_tokens
from archwright.agents.phases import EXPLORE
from archwright.agents.planner import LARGEST_ROUND, ModelPlanner, Progress
from archwright.agents.problem import History, Problem
from archwright.agents.proposer import Request
from archwright.brief import Constraint, parse_brief
from archwright.design import Design, Origin
from archwright.evaluators.hardware import hardware_space
from archwright.evaluators.supernet import InputShape, network_space, workload_of
from archwright.front import Score, bounds_from_sample

MOST_TOKENS = 6000
ROUND = 8
REASON = "expected hypervolume gain 0.0123 at a predicted accuracy of 0.912" + ", drawn" * 9
ROLES = ("planner", "proposer", "critic", "evaluator")


# Cost levels


def test_levels_are_even_steps_of_complexity(problem, pairings):
    levels = levels_of(problem, pairings.catalogue)
    assert levels.names == ("tiny", "small", "medium", "large", "huge")
    steps = np.diff(levels.edges)
    assert steps == pytest.approx(np.full(5, steps[0]))
    top = np.array(problem.network_space.shape) - 1
    ends = pairings.catalogue.complexity(np.stack([top * 0, top]))
    assert levels.of(ends).tolist() == [0, 4]
    assert levels.edges[[0, -1]] == pytest.approx(ends)
    beyond = levels.of(np.array([-5.0, 50.0]))
    assert beyond.tolist() == [0, 4]
    again = levels_of(problem, Pairings(problem).catalogue)
    assert (again.edges == levels.edges).all()


def test_a_level_knows_its_networks_and_the_best(problem, pairings, small):
    levels = levels_of(problem, pairings.catalogue)
    top = np.array(problem.network_space.shape) - 1
    known = small.evaluate(problem, [top * 0], accuracy=lambda network: 0.4)
    known += small.evaluate(problem, [top], accuracy=lambda network: 0.9)
    states = states_of(levels, pairings.catalogue, small.history_of(known))
    nothing = LevelState(0, None)
    assert states == [LevelState(1, 0.4), nothing, nothing, nothing, LevelState(1, 0.9)]
    assert states_of(levels, pairings.catalogue, History()) == [nothing] * 5
    assert thin(states) == [1, 2]
    lines = list(words.levels_in_words(levels, states))
    assert lines[0] == "tiny: 1 measured, best accuracy 0.400"
    assert lines[1] == "small: 0 measured <- thin"


def test_where_all_networks_are_alike_there_is_one_level(small):
    problem, _ = small.make_black_box(("error", "delay"))
    pairings = Pairings(problem)
    levels = levels_of(problem, pairings.catalogue)
    assert levels.names == ("all",)
    assert levels.of(np.zeros(3)).tolist() == [0, 0, 0]


# The problem


def test_values_are_priced_against_the_first(problem, pairings):
    """The network's costs, all else equal: wider and deeper costs more, the first is one."""
    text = words.problem_in_words(problem, pairings, levels_of(problem, pairings.catalogue))
    assert "in latency_ms as a multiple of the first value's" in text
    [line] = [line for line in text.splitlines() if line.startswith("width_3 [")]
    values = line.split("[")[1].split("]")[0].split(", ")
    factors = [float(v.split("(")[1].rstrip("x)")) if "(" in v else 1.0 for v in values]
    assert factors[0] == 1.0
    assert factors == sorted(factors)
    assert factors[-1] > 1.1


def test_what_a_choice_of_every_stage_does_is_said_once(problem, pairings):
    text = words.problem_in_words(problem, pairings, levels_of(problem, pairings.catalogue))
    lines = {line.split(" [")[0]: line for line in text.splitlines() if " [" in line}
    assert lines["depth_1"].endswith("]: blocks in stage 1")
    assert lines["depth_2"].endswith("]: as depth_1")


def test_bounds_are_told(small, problem, pairings):
    bounded = replace(
        problem,
        constraints={
            "latency_ms": Constraint(at_most=2.5),
            "accuracy": Constraint(at_least=0.5, at_most=0.99),
        },
    )
    text = words.problem_in_words(bounded, pairings, levels_of(problem, pairings.catalogue))
    told = "latency_ms: at most 2.5; accuracy: at least 0.5 and at most 0.99"
    assert f"Bounds that every design must keep: {told}." in text


def test_where_nothing_is_free_no_cost_is_claimed(small):
    problem, measure = small.make_black_box(("error", "delay"))
    pairings = Pairings(problem)
    text = words.problem_in_words(problem, pairings, levels_of(problem, pairings.catalogue))
    assert "multiple of" not in text
    assert "operator [conv, pool, skip]: a word" in text
    assert "hardware" not in text
    frontier = Frontier(problem, pairings)
    frontier.add(measure(problem.network_space.sample(np.random.default_rng(0), 5)))
    assert list(words.bottlenecks_in_words(problem, frontier)) == []
    header, *rows = words.front_in_words(problem, frontier)
    assert header == "error, delay | network"
    assert rows


def test_a_long_front_is_thinned_with_its_ends(problem, pairings, small):
    frontier = Frontier(problem, pairings)
    rows = problem.network_space.sample(np.random.default_rng(3), 60)
    frontier.add(small.evaluate(problem, rows))
    points = frontier.points()
    assert len({point.evaluated.key for point in points}) > words.FRONT_ROWS
    _, *lines = words.front_in_words(problem, frontier)
    assert len(lines) == words.FRONT_ROWS
    assert len({line.split(" | ")[1] for line in lines}) == words.FRONT_ROWS
    first, last = points[0].evaluated.accuracy, points[-1].evaluated.accuracy
    assert lines[0].startswith(f"{first:.3g}, ")
    assert lines[-1].startswith(f"{last:.3g}, ")
    assert list(words.front_in_words(problem, Frontier(problem, pairings))) == ["none yet"]


def test_a_design_from_elsewhere_has_its_gaps_shown(problem):
    strange = Design({"width_1": 8}, {}, Origin("memory", "why"))
    [line] = words.objected(problem, [(strange, "slow")])
    assert line.startswith('"? ')
    assert line.endswith(': slow"')


# How long it gets


@pytest.fixture(scope="module")
def mobile():
    """The largest family, on images of its size and the whole hardware space."""
    shape = InputShape(3, 224, 1000)
    networks, hardware = network_space(shape, "mobile"), hardware_space()
    costing = Costing(networks, hardware, partial(workload_of, shape=shape, family="mobile"))
    rng = np.random.default_rng(0)
    sample = costing.zip(networks.sample(rng, 64), hardware.sample(rng, 64))
    score = Score(bounds_from_sample(("accuracy", "latency_ms", "energy_uj"), 1000, sample))
    return Problem(networks, hardware, score, replace(costing, exhaustive=64))


class Asked:
    """A scripted model that refuses every request, and what it was asked."""

    def __init__(self, port_to, reply):
        self.port, self.server = port_to(lambda body, number: reply(refusal="no"), max_retries=0)

    def tokens(self, make):
        """Of the one request that came: all its messages, its schema."""
        [request] = self.server.requests
        return estimated_tokens(make.whole_prompt(request.json))


def note(*words):
    """Records nothing."""


class Fixed:
    """The rules' batch, whatever is asked: these networks, each with a long reason."""

    def __init__(self, problem):
        self._problem = problem

    def propose(self, request):
        rows = self._problem.network_space.sample(np.random.default_rng(9), request.designs)
        hardware = self._problem.hardware_space.sample(np.random.default_rng(9), request.designs)
        return [
            Design(
                n,
                h,
                Origin(
                    "rules/surrogate",
                    "expected hypervolume gain 0.0123 at a predicted accuracy of 0.912"
                    + " and" * 9,
                ),
            )
            for n, h in zip(
                self._problem.network_space.decode(rows),
                self._problem.hardware_space.decode(hardware),
                strict=True,
            )
        ]


@pytest.mark.parametrize(("family", "together"), [("mobile", 7000), ("mbconv", MOST_TOKENS)])
def test_a_rounds_prompts_stay_short_with_a_thousand_designs(
    family, together, request, port_to, reply, make, small
):
    """Each alone, and those of all four roles together; the largest family needs more."""
    problem = request.getfixturevalue("mobile" if family == "mobile" else "problem")
    pairings = Pairings(problem)
    rng = np.random.default_rng(1)
    rows = problem.network_space.sample(rng, 1000)
    evaluated = small.evaluate(problem, rows, accuracy=lambda network: float(rng.random()))
    history = small.history_of(evaluated)
    frontier = Frontier(problem, pairings)
    frontier.add(evaluated[:100])
    asked = {role: Asked(port_to, reply) for role in ROLES}
    ports = {role: model.port for role, model in asked.items()}
    lessons = tuple(
        f"kernel_{k} = 5 raises accuracy by 0.012 at equal size (120 networks have it, t = 4.3)"
        for k in range(40)
    )
    wanted = Request(
        90, 0, EXPLORE, ROUND, history, frontier, proposed=1000, lessons=lessons, notes=lessons[:2]
    )
    rules = Fixed(problem)
    port = ports["proposer"]
    batch = ModelProposer(rules, problem, pairings, port, note, PlainNotebook()).propose(wanted)
    judge = RuleBasedCritic(problem, pairings)
    situation = Situation(90, history, frontier)
    ModelCritic(judge, problem, ports["critic"], note).review(batch, situation)
    ModelEvaluator(RuleBasedEvaluator(problem), ports["evaluator"], note).plan(90, batch)
    scores = tuple(np.linspace(0.1, 0.9, 90).tolist())
    progress = Progress(90, "explore", 4, 1000, 60.0, 0, scores, scores, 60)
    brief = parse_brief(
        {
            "name": "long",
            "task": {"data": "digits"},
            "objectives": {"accuracy": "maximise", "latency_ms": "minimise"},
            "budget": {"evaluations": 2000},
        }
    )
    ModelPlanner(ports["planner"], note).next(brief, progress)
    tokens = {role: model.tokens(make) for role, model in asked.items()}
    assert max(tokens.values()) < MOST_TOKENS, tokens
    assert sum(tokens.values()) < together, tokens


def test_the_largest_batch_of_the_largest_space_fits(mobile, port_to, reply, make, small):
    """With a full set of everything that others may say."""
    pairings = Pairings(mobile)
    rows = mobile.network_space.sample(np.random.default_rng(1), 60)
    evaluated = small.evaluate(mobile, rows, accuracy=lambda network: 0.5)
    frontier = Frontier(mobile, pairings)
    frontier.add(evaluated)
    asked = Asked(port_to, reply)
    said = tuple("x" * 400 for _ in range(20))
    designs = Fixed(mobile).propose(Request(1, 0, EXPLORE, 8, History(), frontier))
    wanted = Request(
        9, 0, EXPLORE, LARGEST_ROUND, small.history_of(evaluated), frontier,
        proposed=1000, lessons=said, notes=tuple(text[:200] for text in said),
        objections=tuple((d, "y" * 200) for d in designs),
    )  # fmt: skip
    rules = Fixed(mobile)
    ModelProposer(rules, mobile, pairings, asked.port, note, PlainNotebook()).propose(wanted)
    assert asked.tokens(make) < MOST_TOKENS


def test_levels_name_what_they_span():
    levels = Levels(("a", "b"), np.array([3.0, 4.0, 5.0]))
    assert levels.in_words(1) == "b: 1e+04 to 1e+05 multiply-accumulates"
