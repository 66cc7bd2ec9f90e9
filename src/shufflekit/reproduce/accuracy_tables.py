"""The tables of trained networks, V1 Tables 2 to 5 and V2 Table 8: what is compared, and whether the paper's order holds.

ImageNet takes machines that most do not have. The small scale asks the papers' question, which of two networks errs less,
of the 32x32 forms and CIFAR-10. Its errors are not the papers'; their order is what a table shows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import combinations
from math import sqrt
from statistics import mean, stdev
from typing import Literal, get_args

from shufflekit.reproduce.papers import PaperTable, paper_table
from shufflekit.reproduce.record import Cell, Record
from shufflekit.reproduce.runs import MORE_SEEDS, SEEDS, Run, Trained, needed_input_size
from shufflekit.reproduce.speed import Built
from shufflekit.reproduce.speed_tables import V2_TABLE_8

_WIDTHS = {"2x": "x2_0", "1.5x": "x1_5", "1x": "x1_0", "0.5x": "x0_5", "0.25x": "x0_25"}
_STUDENT_95 = {5: 2.776445, 10: 2.262157}  # Student's two-sided 95 % point, by the number of pairs
_NARROW = 0.5  # points: a comparison whose interval is not wider gets no more seeds
_MOBILENETS = {
    "1.0 MobileNet-224": "mobilenet_v1_x1_0",
    "0.75 MobileNet-224": "mobilenet_v1_x0_75",
    "0.5 MobileNet-224": "mobilenet_v1_x0_5",
    "0.25 MobileNet-224": "mobilenet_v1_x0_25",
}
_SHUFFLENETS = {
    "ShuffleNet 2x g=3": "shufflenet_v1_g3_x2_0",
    "ShuffleNet 2x + SE g=3": "se_shufflenet_v1_g3_x2_0",
    "ShuffleNet 1.5x g=3": "shufflenet_v1_g3_x1_5",
    "ShuffleNet 1x g=8": "shufflenet_v1_g8_x1_0",
    "ShuffleNet 0.5x g=4": "shufflenet_v1_g4_x0_5",
    "ShuffleNet 0.5x shallow g=3": "shufflenet_v1_g3_x0_5_shallow",
}


@dataclass(frozen=True)
class Row:
    """A network of a table and the error that the paper prints, in %."""

    label: str
    built: Built
    error: float
    small: Built | None = None
    "What stands for it at the small scale, where that is not `built`."

    @property
    def trained(self) -> Built:
        """The network of the small scale, but for its 32x32 form."""
        return self.small or self.built

    @property
    def network(self) -> str:
        """Its name among runs."""
        return Run(self.trained, 0).network_name


@dataclass(frozen=True)
class Group:
    """Networks that the paper compares at one complexity; the others are held against the first."""

    level: str
    rows: tuple[Row, ...]
    small: bool
    "Trained at the small scale."
    late: bool = False
    "After all that are not."


def v1_table_2(table: PaperTable) -> list[Group]:
    """Numbers of groups, against g=1."""
    groups = []
    for model, mflops, *errors in table.rows:
        width = model.removeprefix("ShuffleNet ")
        labels = table.columns[2:]
        rows = [Row(g, Built(f"shufflenet_v1_g{g[2:]}_{_WIDTHS[width]}"), error) for g, error in zip(labels, errors)]
        groups.append(Group(f"{width}, {mflops} MFLOPs", tuple(rows), width != "1x"))
    return groups


def v1_table_3(table: PaperTable) -> list[Group]:
    """With the channel shuffle, against without; 1x with a stem of stride 2 at the small scale, for a quarter of the time."""
    groups = []
    for width, g, without, with_shuffle, _delta in table.rows:
        network, small = f"shufflenet_v1_g{g}_{_WIDTHS[width]}", {"stem_stride": 2} if width == "1x" else {}
        rows = [
            Row(label, Built(network, options=options), error, Built(network, options=options | small))
            for label, options, error in (("shuffle", {}, with_shuffle), ("no shuffle", {"shuffle": False}, without))
        ]
        groups.append(Group(f"{width} g={g}", tuple(rows), small=True, late=width == "1x"))
    return groups


def v1_table_4(table: PaperTable) -> list[Group]:
    """ShuffleNet, against other units at its complexity."""
    groups = []
    for cells in table.rows:
        printed = dict(zip(table.columns, cells, strict=True))
        mflops = printed["complexity"]
        width, g = printed["ShuffleNet variant"].split(" g=")
        networks = {
            "ShuffleNet": f"shufflenet_v1_g{g}_{_WIDTHS[width]}",
            "VGG-like": f"vgg_like_{mflops}m",
            "ResNet": f"resnet_like_{mflops}m",
            "Xception-like": f"shufflenet_v1_g1_{_WIDTHS[width]}",  # the same network as xception_like_v1_*
            "ResNeXt": f"resnext_like_{mflops}m",
        }
        rows = [Row(label, Built(name), printed[label]) for label, name in networks.items() if printed[label] is not None]
        groups.append(Group(f"{mflops} MFLOPs", tuple(rows), mflops in (13, 38)))
    return groups


def v1_table_5(table: PaperTable) -> list[Group]:
    """MobileNets, and the ShuffleNets of their complexity."""
    blocks: list[list[Row]] = []
    for label, _mflops, error, _delta in table.rows:
        if label in _MOBILENETS:
            blocks.append([])
        blocks[-1].append(Row(label, Built((_MOBILENETS | _SHUFFLENETS)[label]), error))
    return [Group(f"as {rows[0].label}", tuple(rows), rows is blocks[-1]) for rows in blocks]


def v2_table_8(table: PaperTable) -> list[Group]:
    """ShuffleNet V2, against all others of its level; rows without a network here are left out."""
    levels: dict[str, list[Row]] = {}
    for label, level, _mflops, error, *_speeds in table.rows:
        if label in V2_TABLE_8:
            levels.setdefault(level, []).append(Row(label, V2_TABLE_8[label], error))
    return [Group(f"{level} MFLOPs", tuple(rows), level == "40") for level, rows in levels.items()]


@dataclass(frozen=True)
class _Accuracy:
    title: str
    paper: str
    "The table that prints it."
    groups: Callable[[PaperTable], list[Group]]
    notes: tuple[str, ...] = ()


_TABLES = {
    "v1.table2": _Accuracy("Error against group number", "v1.table2", v1_table_2),
    "v1.table3": _Accuracy("Channel shuffle ablation", "v1.table3", v1_table_3),
    "v1.table4": _Accuracy(
        "Other building blocks at equal complexity",
        "v1.table4",
        v1_table_4,
        ("Xception-like is ShuffleNet with g=1, which has nothing to shuffle: one network, one set of runs",),
    ),
    "v1.table5": _Accuracy("Against MobileNet", "v1.table5", v1_table_5),
    "v2.table8.accuracy": _Accuracy(
        "Main comparison, the order of errors",
        "v2.table8",
        v2_table_8,
        ("the network that the paper feeds 160x160 for 224x224 gets 23x23 for 32x32",),
    ),
}
ACCURACY_TABLES = {name: table.title for name, table in _TABLES.items()}

# What decides most comes first, and in it small networks; the 1x pairs of the shuffle wait for all others.
_FIRST_TRAINED = ("v1.table3", "v1.table2", "v2.table8.accuracy", "v1.table4", "v1.table5")


def groups_of(name: str) -> list[Group]:
    """What an accuracy table compares, in the paper's order."""
    return _TABLES[name].groups(paper_table(_TABLES[name].paper))


def small_groups(name: str) -> list[Group]:
    """What is trained of a table at the small scale, in the paper's order."""
    return [group for group in groups_of(name) if group.small]


def planned(names: Iterable[str], finished: Sequence[Trained] = ()) -> list[Run]:
    """The runs of tables at the small scale, each once, in the order in which they are worth most.

    Args:
        finished: five more seeds are planned for what these leave undecided by more than half a point.

    Example:
        >>> runs = planned(["v1.table5", "v1.table3"])
        >>> len(runs), runs[0].name, runs[8].seed
        (75, 'shufflenet_v1_g8_x0_25-seed0', 4)
    """
    tables = [small_groups(name) for name in sorted(set(names), key=_FIRST_TRAINED.index)]
    levels = [
        [group for group in reversed(groups) if not group.late] for groups in tables
    ]  # the papers print the smallest last
    levels.append([group for groups in tables for group in reversed(groups) if group.late])
    errors = errors_of(finished)
    runs: dict[str, Run] = {}
    for seeds in (range(SEEDS), range(SEEDS, MORE_SEEDS)):
        for groups in levels:
            for group in groups:  # all seeds of one decide it; a seed of each decides none
                rows = group.rows if seeds.start == 0 else _open(group, errors)
                for run in [Run(row.trained, seed) for seed in seeds for row in rows]:
                    runs.setdefault(run.name, run)
    return list(runs.values())


Errors = dict[str, dict[int, float]]  # of a network, by seed, %


def errors_of(finished: Iterable[Trained]) -> Errors:
    """Of runs by network and seed; other seeds than the planned ones are trials and left out."""
    errors: Errors = {}
    for one in finished:
        if one.seed < MORE_SEEDS:
            errors.setdefault(one.network_name, {})[one.seed] = one.test.error
    return errors


Word = Literal["holds", "does not hold", "not decided", "not finished"]


@dataclass(frozen=True)
class Verdict:
    """Whether a printed order of two networks holds here.

    Attributes:
        pairs: runs of one seed that both have.
        difference: points by which the one that errs less in the paper errs less here, the mean over pairs.
        margin: half of the 95 % interval around it, by Student's t; infinite without pairs.
    """

    word: Word
    pairs: int
    difference: float
    margin: float

    @property
    def is_open(self) -> bool:
        """More seeds could decide it."""
        return self.word == "not decided" and self.pairs == SEEDS and 2 * self.margin > _NARROW

    def __str__(self) -> str:
        if self.word != "not decided":
            return self.word
        return f"not decided: within +-{abs(self.difference) + self.margin:.1f} points"


def verdict(better: dict[int, float], worse: dict[int, float]) -> Verdict:
    """Judges by the paired 95 % interval of the difference.

    Args:
        better: error by seed, %, of the network that errs less in the paper.
        worse: of the other. Seeds beyond the first five count where both have all of the next five.

    Example:
        >>> print(verdict(dict(enumerate([27.1, 27.0, 27.3, 26.9, 27.2])), dict(enumerate([27.9, 27.5, 28.2, 27.8, 27.9]))))
        holds
        >>> print(verdict(dict(enumerate([27.1, 27.0, 27.3, 26.9, 27.2])), dict(enumerate([27.0, 27.5, 27.2, 27.1, 27.0]))))
        not decided: within +-0.4 points
    """
    shared = sorted(better.keys() & worse.keys())
    count = next((count for count in (MORE_SEEDS, SEEDS) if set(range(count)) <= set(shared)), 0)
    if not count:
        return Verdict("not finished", len(shared), 0.0, float("inf"))
    differences = [worse[seed] - better[seed] for seed in range(count)]
    difference, margin = mean(differences), _STUDENT_95[count] * stdev(differences) / sqrt(count)
    decided: Word = "holds" if difference > 0 else "does not hold"
    return Verdict(decided if abs(difference) > margin else "not decided", count, difference, margin)


def order(one: Row, other: Row, errors: Errors) -> Verdict:
    """Whether the paper's order of two rows holds in runs."""
    better, worse = sorted((one, other), key=lambda row: row.error)
    return verdict(errors.get(better.network, {}), errors.get(worse.network, {}))


def _open(group: Group, errors: Errors) -> list[Row]:
    """The rows that need more seeds, the first with them."""
    first, *others = group.rows
    found = [row for row in others if order(first, row, errors).is_open]
    return [first, *found] if found else []


def accuracy_record(name: str, finished: Sequence[Trained]) -> Record | None:
    """An accuracy table from the runs that are there; None where there is none.

    Args:
        name: of the table.
        finished: runs of any table; of other seeds than the planned ones nothing is taken.
    """
    accuracy, groups, errors = _TABLES[name], small_groups(name), errors_of(finished)
    networks = {row.network for group in groups for row in group.rows}
    used = [one for one in finished if one.network_name in networks and one.seed < MORE_SEEDS]
    if not used:
        return None
    scores = ("test error, %", "held-out error, %", "training error, %")
    columns = (
        "level",
        "network",
        "registry name",
        "paper: error, %",
        *scores,
        "runs",
        "against the first, points",
        "paper's order",
    )
    rows: list[tuple[Cell, ...]] = []
    firsts: list[Verdict] = []
    for group in groups:
        for row in group.rows:
            runs = [one for one in used if one.network_name == row.network]
            means = [mean(score.error for score in part) for part in zip(*((r.test, r.held_out, r.fitted) for r in runs))]
            words: tuple[Cell, Cell] = (None, "(the first)")
            if row is not group.rows[0]:
                firsts.append(order(group.rows[0], row, errors))
                words = (_spelled(group.rows[0], row, firsts[-1]), str(firsts[-1]))
            shown_means: list[Cell] = [f"{each:.2f}" for each in means] or [None] * len(scores)
            rows.append((group.level, row.label, row.network, row.error, *shown_means, len(runs), *words))
    pairs = [order(one, other, errors) for group in groups for one, other in combinations(group.rows, 2)]
    notes = [f"the paper's order against the first of a level: {counted(firsts)}"]
    if len(pairs) > len(firsts):
        notes.append(f"the paper's order of all pairs of a level: {counted(pairs)}")
    gaps = [one.held_out.error - one.fitted.error for one in used]
    notes.append(f"held-out less training error of a run: {min(gaps):.1f} to {max(gaps):.1f} points")
    notes += [*accuracy.notes, *_not_run(name)]
    latest = max(used, key=lambda one: one.date)
    return Record(
        name,
        accuracy.title,
        f"shufflekit reproduce {name} --scale small --data DATA -o results/accuracy",
        f"{latest.machine['cpu']}, {latest.threads} thread{'s' * (latest.threads > 1)}",
        latest.date,
        columns,
        tuple(rows),
        tuple(notes),
    )


def _spelled(first: Row, row: Row, found: Verdict) -> str | None:
    """By how much a row errs more than the first of its level, and the interval."""
    if found.word == "not finished":
        return None
    more = (found.difference if first.error <= row.error else -found.difference) or 0.0  # no -0.00
    return f"{more:+.2f} ({more - found.margin:+.2f} to {more + found.margin:+.2f})"


def counted(verdicts: Sequence[Verdict]) -> str:
    """How many of some verdicts there are of each word."""
    found = [one.word for one in verdicts]
    return ", ".join(f"{word} for {count} of {len(found)}" for word in get_args(Word) if (count := found.count(word)))


def _not_run(name: str) -> list[str]:
    """What the paper trained and the small scale leaves out."""
    groups = [group for group in groups_of(name) if not group.small]
    left = [f"{group.level} ({', '.join(row.label for row in group.rows)})" for group in groups]
    notes = [f"not run at this scale: {'; '.join(left)}"] if left else []
    if name == "v2.table8.accuracy":
        missing = [row[0] for row in paper_table("v2.table8").rows if row[0] not in V2_TABLE_8]
        notes += [f"not built here, so not run: {', '.join(missing)}"] if missing else []
    return notes


def imagenet_commands(names: Iterable[str]) -> list[tuple[str, str]]:
    """The papers' own recipe on ImageNet: name and command of each network of the tables.

    Four processes of 256 images make the papers' updates of 1024 on their four GPUs.
    """
    commands: dict[str, str] = {}
    for row in (row for name in names for group in groups_of(name) for row in group.rows):
        run = Run(row.built, 0)
        parts = ["torchrun --nproc-per-node 4 --module shufflekit train --recipe imagenet --batch 256"]
        parts.append("--data DATA --split train --val DATA --val-split val")
        parts.append(f"--model {row.built.network}")
        parts += [f"--options.{key} {value}" for key, value in run.spelled_options]
        if row.built.size != (224, 224):
            parts.append(f"--preprocessing.input-size {needed_input_size(row.built, 224)} {needed_input_size(row.built, 224)}")
        commands[run.network_name] = " ".join([*parts, f"--resume auto --out runs/{run.network_name}"])
    return list(commands.items())
