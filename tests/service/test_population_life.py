"""Members of a population that join and leave: none notices another, and each can go on alone."""

from __future__ import annotations

from itertools import chain
from pathlib import Path

import pytest

from service.artifacts import Artifacts
from service.checkpoints import Snapshot, read_checkpoint
from service.errors import Diverged
from service.jobs import Lease
from service.population import Member, Population
from tests.service.population_room import OWN, SMALL, PopulationRoom, Stopped, Watching, left_by, of_member, three

LEASE = Lease("job-" + "a" * 20, "1-aa")


@pytest.fixture(scope="module")
def room(tmp_path_factory: pytest.TempPathFactory) -> PopulationRoom:
    return PopulationRoom(tmp_path_factory.mktemp("room"))


@pytest.mark.parametrize("rate", [30.0, 1e3])
def test_one_that_diverges_leaves_as_it_would_alone_and_no_other_is_touched(room: PopulationRoom, rate: float) -> None:
    base = {**SMALL, "data": {"target": "value"}, "network": {"hidden": [7], "normalization": "none"}}
    specs = three(base, momentum=(0.9, 0.3, 0.6))
    specs[1]["optimizer"]["learning_rate"] = rate
    members = room.together(specs)
    assert isinstance(members[1].error, Diverged)
    assert [member.error for member in members[::2]] == [None, None]
    for spec, member in zip(specs, members, strict=True):
        assert of_member(member) == room.alone(spec)


@pytest.mark.parametrize("steps", [1, 2, 3, 5])
def test_one_that_leaves_goes_on_alone_to_the_same_bits(room: PopulationRoom, steps: int, tmp_path: Path) -> None:
    specs = three({**SMALL, "early_stopping": {"patience": 100}}, "adam", **OWN["adam"])
    members = [Member(room.begin(spec), Watching(steps if number == 1 else None)) for number, spec in enumerate(specs)]
    first, *rest = chain.from_iterable(Population(members).run())
    assert first is members[1]
    assert isinstance(first.error, Stopped)
    assert [of_member(member) for member in rest] == [room.alone(specs[0]), room.alone(specs[2])]

    artifacts, seen = Artifacts((tmp_path / "artifacts").as_uri()), first.observer
    reference = Snapshot().take(first.training).write(LEASE, artifacts, {})
    assert reference.step == steps
    restored, alone = room.begin(specs[1]), room.alone(specs[1])
    read_checkpoint(reference, artifacts).put_back(restored)
    assert isinstance(seen, Watching)
    again = Watching(rows=list(seen.rows))
    for training, watching in ((first.training, seen), (restored, again)):
        training.run(watching)
        assert left_by(training, watching, None) == alone


def test_those_at_other_places_join_when_the_others_get_there(room: PopulationRoom) -> None:
    specs = three({**SMALL, "epochs": 4}, "nadam", **OWN["nadam"])
    members = []
    for spec, steps in zip(specs, (5, 8, 9), strict=True):  # three steps make an epoch
        training, seen = room.begin(spec), Watching(steps)
        with pytest.raises(Stopped):
            training.run(seen)
        members.append(Member(training, Watching(rows=seen.rows)))
    gone = list(chain.from_iterable(Population(members).run()))
    assert gone == [members[1], members[2], members[0]]
    for spec, member in zip(specs, members, strict=True):
        assert of_member(member) == room.alone(spec)


def test_another_joins_while_the_others_train(room: PopulationRoom) -> None:
    specs = three(SMALL, **OWN["sgd"])
    late = Member(room.begin(specs[2]), Watching())
    members = [Member(room.begin(spec), Watching()) for spec in specs[:2]]
    population = Population(members)

    def join(what: str) -> None:
        if what == "reports" and late not in population.members:
            population.join(late)

    members[0].observer = Watching(on_epoch=join)
    assert list(chain.from_iterable(population.run())) == [*members, late]
    for spec, member in zip(specs, [*members, late], strict=True):
        assert of_member(member) == room.alone(spec)


def test_a_member_that_is_at_its_end_leaves_at_once(room: PopulationRoom) -> None:
    specs = three(SMALL)
    over = room.begin(specs[0])
    over.run(Watching())
    members = [Member(over, Watching()), *(Member(room.begin(spec), Watching()) for spec in specs[1:])]
    left = chain.from_iterable(Population(members).run())
    assert next(left) is members[0]
    assert members[1].training.steps_done == 0
    assert list(left) == members[1:]


def test_all_report_an_epoch_before_one_is_told_to_leave(room: PopulationRoom) -> None:
    said: list[str] = []
    specs = three(SMALL)
    members = [
        Member(room.begin(spec), Watching(epochs=1 if number == 0 else None, on_epoch=said.append))
        for number, spec in enumerate(specs)
    ]
    first, *_ = chain.from_iterable(Population(members).run())
    assert said[:6] == ["row"] * 3 + ["reports"] * 3
    assert first is members[0]
    assert isinstance(first.error, Stopped)
    assert (first.training.state.epoch, first.training.state.step) == (1, 0)
    first.training.run(first.observer)
    assert of_member(Member(first.training, first.observer)) == room.alone(specs[0])


def test_a_snapshot_of_a_member_is_that_of_a_training_alone(room: PopulationRoom, tmp_path: Path) -> None:
    artifacts = Artifacts((tmp_path / "artifacts").as_uri())
    specs = three({**SMALL, "early_stopping": {"patience": 100}}, "rmsprop", **OWN["rmsprop"])
    members = [Member(room.begin(spec), Watching()) for spec in specs]
    saved = []

    class Saving(Watching):
        def after_step(self) -> None:
            training = members[1].training
            if training.steps_done == 4:
                saved.append(Snapshot().take(training).write(LEASE, artifacts, {}))

    members[0].observer = Saving()
    list(Population(members).run())
    alone, seen = room.begin(specs[1]), Watching(4)
    with pytest.raises(Stopped):
        alone.run(seen)
    of_one = Snapshot().take(alone).write(LEASE, artifacts, {})
    found, expected = (read_checkpoint(reference, artifacts) for reference in (saved[0], of_one))
    assert found.version == expected.version
    assert {name: array.tobytes() for name, array in found.arrays.items()} == {
        name: array.tobytes() for name, array in expected.arrays.items()
    }
    assert set(found.arrays) == {"parameters", "optimizer.0", "optimizer.1", "optimizer.2", "best"}
    found.state.seconds = expected.state.seconds = 0.0
    for row in (found.state.last_row, found.state.best_row, expected.state.last_row, expected.state.best_row):
        assert row is not None
        row.pop("samples_per_s")
    assert found.state == expected.state


def test_progress_is_each_ones_own(room: PopulationRoom) -> None:
    specs = three(SMALL)
    specs[0]["epochs"] = 7
    members = [Member(room.begin(spec), Watching(steps=4)) for spec in specs]
    list(Population(members).run())
    found = [member.training.progress() for member in members]
    assert [each["epochs"] for each in found] == [7, 3, 3]
    assert [each["step"] for each in found] == [4, 4, 4]


def test_optimizers_that_have_seen_steps_before_go_on_from_theirs(room: PopulationRoom) -> None:
    """As a warm start with its optimizer's state has it."""
    specs, before = three(SMALL, "adam", **OWN["adam"]), (5, 0, 70)
    members, alone = ([Member(room.begin(spec), Watching()) for spec in specs] for _ in range(2))
    for each in (members, alone):
        for member, steps in zip(each, before, strict=True):
            member.training.server.steps_before = steps
    list(Population(members).run())
    for member, other in zip(members, alone, strict=True):
        other.training.run(other.observer)
        assert of_member(member) == of_member(other)
    assert of_member(members[0]) != room.alone(specs[0])
