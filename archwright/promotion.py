"""After the search has frozen: its best designs are judged once more, from cheap to dear.

Every rung is a step: it begins when the one before is complete, reads what that one has
archived, and writes by (run, step, index). So a promotion that was killed goes on at the
unfinished rung, trains nothing twice and ends with the same designs.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from archwright.agents.evaluator import Laboratory
from archwright.agents.promotion import Rung, entrants, rungs, survivors
from archwright.agents.team import Team
from archwright.brief import Brief
from archwright.conclusion import frozen_front, losses_for_choice
from archwright.design import Design
from archwright.events import Event
from archwright.measurement import Measurement, Outcome
from archwright.memory.reader import ArchiveReader
from archwright.memory.records import Role
from archwright.result import JudgedDesign, PromotedDesign, Promotion
from archwright.workbench import Bench

if TYPE_CHECKING:
    from archwright.evaluators.supernet import FurtherTraining

WEIGHTS_FOLDER = "promotion"
"""Where, in a run's folder, the weights of promoted networks are."""

FIRST_STEP = 2
"""After the search's last step: the test pass and the random baseline have the two before."""

OUT_OF_TIME = "the budget of hours is spent"

Training = Callable[[tuple[int, ...]], "FurtherTraining"]


def promote(
    team: Team, bench: Bench, training: Training, frozen: int, workers: int
) -> Promotion | None:
    """Judge the best designs of the front by all that the brief's ``promotion`` names.

    ``frozen`` is the step that the search ended before; ``training`` gives the instrument's
    training for the epochs of each period. Ends early between measurements when the budget
    of time is spent or the user stops the run. None where nothing is to be promoted.
    """
    section = team.brief.promotion
    front = frozen_front(team, frozen)
    if not front or not section.designs:
        return None
    losses, score = losses_for_choice(front, team.problem.score), team.problem.score
    networks = [judged.design.network_key for judged in front]
    entered = [front[k] for k in entrants(losses, networks, section.designs, score)]
    ladder = rungs(len(entered), section.epochs)
    team.archive.set_meta(team.run, "promoted", [judged.design.key for judged in entered])
    return _Promoting(team, bench, training, frozen + FIRST_STEP, workers, entered).up(ladder)


def epochs_of(design: Design, promotion: Promotion | None) -> tuple[int, ...]:
    """The epochs of each period that a design's network was trained for; () where it was not."""
    promoted = promotion.designs if promotion else ()
    return next((p.epochs for p in promoted if p.design.network_key == design.network_key), ())


def archived_epochs(
    archive: ArchiveReader, run: str, brief: Brief, network_key: str
) -> tuple[int, ...]:
    """As :func:`epochs_of`, from what a run's archive holds: one measurement for each rung."""
    trained = archive.evaluated_networks(run, role=Role.PROMOTION)
    passed = sum(network.network_key == network_key for network in trained)
    entered = len(archive.meta(run, "promoted") or [])
    return rungs(entered, brief.promotion.epochs)[passed - 1].epochs if passed else ()


@dataclass
class _Trained:
    """How far a design came: the epochs of each period, and its accuracy after them."""

    epochs: tuple[int, ...] = ()
    accuracy: Measurement | None = None
    test: Measurement | None = None


class _Promoting:
    """One promotion on its way up."""

    def __init__(
        self,
        team: Team,
        bench: Bench,
        training: Training,
        step: int,
        workers: int,
        entered: Sequence[JudgedDesign],
    ) -> None:
        self._team, self._bench, self._training = team, bench, training
        self._step, self._workers, self._entered = step, workers, entered
        self._trained = {judged.design.key: _Trained() for judged in entered}
        self._stopped = team.archive.meta(team.run, "promotion_stopped") or ""

    def up(self, ladder: Sequence[Rung]) -> Promotion:
        """Rung by rung, then the simulator, then the test split."""
        team, name = self._team, self._team.brief.promotion.simulator
        then = "" if name == "none" else f"; what is left is simulated by {name}"
        trained = ", ".join(f"{rung.designs} for {rung.epochs[-1]}" for rung in ladder)
        reason = f"the best compromises, spread over the front; epochs: {trained}{then}"
        team.note(self._step, "planner", "rules", f"promote {len(self._entered)} designs", reason)
        began = team.clock.seconds
        reached = self._train(ladder)
        between = team.clock.seconds
        simulated: Mapping[str, Mapping[str, Measurement]] = {}
        if name != "none" and reached:
            simulated = self._simulate(self._step + len(ladder), [j.design for j in reached])
            reached = [j for j in reached if j.design.key in simulated] or reached
        after = team.clock.seconds
        self._score(self._step + len(ladder) + 1)
        seconds = {"further training": between - began, "simulation": after - between}
        seconds["test scores of promoted"] = team.clock.seconds - after
        if not team.stopping():
            seconds = team.archive.set_meta(team.run, "promotion_seconds", seconds)
            if self._stopped:
                team.archive.set_meta(team.run, "promotion_stopped", self._stopped)
        best = {judged.design.key for judged in reached}
        return Promotion(
            tuple(self._result(j.design, best, simulated) for j in self._entered),
            self._stopped,
            seconds,
        )

    def _result(
        self, design: Design, best: set[str], simulated: Mapping[str, Mapping[str, Measurement]]
    ) -> PromotedDesign:
        found = self._trained[design.key]
        return PromotedDesign(
            design,
            found.epochs,
            found.accuracy,
            found.test,
            simulated.get(design.key, {}),
            design.key in best,
        )

    def _train(self, ladder: Sequence[Rung]) -> list[JudgedDesign]:
        """The designs that came through the last complete rung."""
        standing, reached = list(self._entered), list[JudgedDesign]()
        for k, rung in enumerate(ladder):
            trained = self._trained_on(self._step + k, rung, standing)
            if trained is None:
                self._cut_short(self._step + k, f"rung {k + 1} is not complete")
                break
            standing = [judged for judged in standing if judged.design.key in trained]
            if not standing:
                reason = "every training of it failed; the rung before decides"
                self._team.note(
                    self._step + k, "planner", "rules", f"rung {k + 1} is empty", reason
                )
                break
            reached = standing
            for judged in standing:
                accuracy = trained[judged.design.key]
                self._trained[judged.design.key] = _Trained(rung.epochs, accuracy)
            if k + 1 < len(ladder):
                standing = self._halved(self._step + k, k, standing, ladder[k + 1].designs)
        return reached

    def _trained_on(
        self, step: int, rung: Rung, standing: Sequence[JudgedDesign]
    ) -> dict[str, Measurement] | None:
        """The accuracies of a rung by design key, without failures; None where it was cut short."""
        from archwright.evaluators.supernet import FurtherTrainedEvaluator

        team, designs = self._team, [judged.design for judged in standing]
        detail = f"{len(designs)} networks, {rung.epochs[-1]} epochs each"
        self._tell("part", part="promotion", detail=detail)

        def measured(design: Design, outcome: Outcome) -> None:
            data: dict[str, Any] = {"epochs": sum(rung.epochs)}
            if outcome.failure is None:
                data["accuracy"] = outcome.measurements[0].value
            else:
                data["why"] = outcome.failure.reason
            team.events.record(Event("promoted", step, design.key, data))

        training = self._training(rung.epochs)
        with FurtherTrainedEvaluator(training, "validation", workers=self._workers) as instrument:
            laboratory = Laboratory(team.run, team.archive, instrument, self._bench.costs)
            unknown = self._left(step, designs, laboratory.known(designs), instrument.name)
            if unknown and self._over():
                return None
            order = range(len(designs))
            done = laboratory.measure(step, designs, order, measured, self._over, Role.PROMOTION)
            known = laboratory.known(designs)
        if done.cut_short:
            return None
        return {d.key: known[d.network_key] for d in designs if d.network_key in known}

    def _halved(
        self, step: int, k: int, standing: Sequence[JudgedDesign], designs: int
    ) -> list[JudgedDesign]:
        """The designs that go on to the next rung, and why, for the record."""
        team = self._team
        accuracies = [self._trained[j.design.key].accuracy for j in standing]
        values = np.array([accuracy.value for accuracy in accuracies if accuracy is not None])
        costs = {m: np.array([j.value(m) for j in standing]) for m in standing[0].costs}
        within = np.array([team.problem.acceptable({"accuracy": value}) for value in values])
        losses = team.problem.score.losses({**costs, "accuracy": values})
        kept = survivors(losses, within, designs, team.problem.score)
        words = [f"{j.design.key[:8]} at {values[n]:.4f}" for n, j in enumerate(standing)]
        out = ", ".join(words[n] for n in range(len(standing)) if n not in kept)
        goes_on = ", ".join(words[n] for n in kept)
        reason = f"most hypervolume with trained accuracy; out: {out or 'none'}"
        team.note(step, "evaluator", "rules", f"rung {k + 1}: go on with {goes_on}", reason)
        return [standing[n] for n in kept]

    def _simulate(self, step: int, designs: Sequence[Design]) -> dict[str, dict[str, Measurement]]:
        """Costs by metric of each design that the simulator could judge."""
        team, name = self._team, self._team.brief.promotion.simulator
        instrument = self._bench.simulator(name, min(self._workers, len(designs)))
        self._tell("part", part="promotion", detail=f"{name}: {len(designs)} designs")
        known = self._simulated(designs, name, instrument.context)
        left = self._left(step, designs, known, name)
        if left and not self._over():
            for index, outcome in instrument.measure_each(left):
                place = list(designs).index(left[index])
                team.archive.record(
                    team.run, step, [left[index]], [outcome], position=place, role=Role.PROMOTION
                )
                if self._over():
                    break
        known = self._simulated(designs, name, instrument.context)
        failures = [f.reason for f in team.archive.failures(team.run) if f.step == step]
        missing = f"{name}: {len(known)} of {len(designs)} designs simulated"
        if self._left(step, designs, known, name):
            self._cut_short(step, missing)
        elif failures:
            team.note(step, "evaluator", "rules", missing, "; ".join(dict.fromkeys(failures)))
        return known

    def _simulated(
        self, designs: Sequence[Design], name: str, context: str
    ) -> dict[str, dict[str, Measurement]]:
        found: dict[str, dict[str, Measurement]] = {}
        for design in designs:
            for m in self._team.archive.measurements_of(design.key):
                if (m.evaluator, m.context) == (name, context):
                    found.setdefault(design.key, {})[m.metric] = m
        return found

    def _score(self, step: int) -> None:
        """Score every trained network on the test split, once what goes on is settled."""
        from archwright.evaluators.supernet import FurtherTrainedEvaluator

        team = self._team
        by_epochs: dict[tuple[int, ...], list[Design]] = {}
        for judged in self._entered:
            if self._trained[judged.design.key].accuracy is not None:
                epochs = self._trained[judged.design.key].epochs
                by_epochs.setdefault(epochs, []).append(judged.design)
        for epochs, designs in sorted(by_epochs.items()):
            # In this process: the weights are there, and starting workers takes longer.
            with FurtherTrainedEvaluator(self._training(epochs), "test", workers=0) as instrument:
                laboratory = Laboratory(team.run, team.archive, instrument, self._bench.costs)
                order = range(len(designs))
                laboratory.measure(step, designs, order, lambda *_: None, lambda: False, Role.TEST)
                for design in designs:
                    test = laboratory.known([design]).get(design.network_key)
                    found = self._trained[design.key]
                    self._trained[design.key] = replace(found, test=test)

    def _cut_short(self, step: int, decision: str) -> None:
        if not self._team.stopping():  # what the user stopped goes on when it is resumed
            self._team.note(step, "planner", "rules", decision, self._stopped)

    def _left(
        self, step: int, designs: Sequence[Design], known: Mapping[str, object], evaluator: str
    ) -> list[Design]:
        """Designs that neither they nor their networks are known for, nor have failed."""
        failures = self._team.archive.failures(self._team.run)
        failed = {f.subject for f in failures if (f.step, f.evaluator) == (step, evaluator)}
        done = known.keys() | failed
        return [d for d in designs if not {d.key, d.network_key} & done]

    def _over(self) -> bool:
        """Whether it must end: by the user, or because time is up, also that of an earlier try."""
        team = self._team
        if team.stopping():
            self._stopped = "stopped by the user"
        elif not self._stopped and team.clock.seconds >= team.brief.budget.hours * 3600:
            self._stopped = OUT_OF_TIME
        return bool(self._stopped)

    def _tell(self, kind: str, **data: Any) -> None:
        self._team.events.show(Event(kind, data=data))
