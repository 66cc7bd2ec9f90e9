"""The tables of trained networks, V1 Tables 2 to 5 and V2 Table 8: what is compared, and whether the paper's order holds.

ImageNet takes machines that most do not have. The small scale asks the papers' question, which of two networks errs less,
of 64x64 images, three seeds each. Its errors are not the papers'; their order is what a table shows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import combinations
from statistics import mean

from shufflekit.reproduce.papers import PaperTable, paper_table
from shufflekit.reproduce.record import Cell, Record
from shufflekit.reproduce.runs import SEEDS, Probe, Run, Trained, needed_input_size
from shufflekit.reproduce.speed import Built
from shufflekit.reproduce.speed_tables import V2_TABLE_8

_WIDTHS = {"2x": "x2_0", "1.5x": "x1_5", "1x": "x1_0", "0.5x": "x0_5", "0.25x": "x0_25"}
_MARGIN = 10.0  # points by which a run must err less than a linear probe on the pixels, else it has learned too little
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


@dataclass(frozen=True)
class Group:
    """Networks that the paper compares at one complexity; the others are held against the first."""

    level: str
    rows: tuple[Row, ...]
    small: bool
    "Trained at the small scale."


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
    """With the channel shuffle, against without."""
    groups = []
    for width, g, without, with_shuffle, _delta in table.rows:
        network = f"shufflenet_v1_g{g}_{_WIDTHS[width]}"
        rows = (
            Row("shuffle", Built(network), with_shuffle),
            Row("no shuffle", Built(network, options={"shuffle": False}), without),
        )
        groups.append(Group(f"{width} g={g}", rows, True))
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
        groups.append(Group(f"{mflops} MFLOPs", tuple(rows), cells is table.rows[-1]))
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
        ("the network that the paper feeds 160x160 for 224x224 gets 46x46 for 64x64",),
    ),
}
ACCURACY_TABLES = {name: table.title for name, table in _TABLES.items()}

# What decides most comes first: the shuffle is the first paper's claim, and its pairs differ most where networks are small.
_FIRST_TRAINED = ("v1.table3", "v1.table2", "v1.table5", "v1.table4", "v2.table8.accuracy")


def groups_of(name: str) -> list[Group]:
    """What an accuracy table compares, in the paper's order."""
    return _TABLES[name].groups(paper_table(_TABLES[name].paper))


def planned(names: Iterable[str]) -> list[Run]:
    """The runs of tables at the small scale, each once, in the order in which they are worth most.

    Example:
        >>> runs = planned(["v1.table5", "v1.table3"])
        >>> len(runs), runs[0].name, runs[12].seed
        (45, 'shufflenet_v1_g8_x0_25-seed0', 1)
    """
    runs: dict[str, Run] = {}
    for name in sorted(set(names), key=_FIRST_TRAINED.index):
        small = [group for group in reversed(groups_of(name)) if group.small]  # the papers print the smallest last
        for run in [Run(row.built, seed) for seed in range(SEEDS) for group in small for row in group.rows]:
            runs.setdefault(run.name, run)
    return list(runs.values())


def verdict(better: Sequence[float], worse: Sequence[float]) -> str:
    """Whether a printed order of two networks holds here.

    Args:
        better: errors, of a run each, of the network that errs less in the paper.
        worse: those of the other.

    Returns:
        "holds" or "does not hold" where all runs of one err less than all of the other: three and three do so by chance once
        in 20. "not decided" where they overlap, "not finished" where a run is missing.

    Example:
        >>> verdict([60.1, 61.0, 60.4], [61.2, 62.0, 61.9])
        'holds'
        >>> verdict([60.1, 61.2, 60.4], [61.2, 62.0, 61.9])
        'not decided'
    """
    if min(len(better), len(worse)) < SEEDS:
        return "not finished"
    if max(better) < min(worse):
        return "holds"
    return "does not hold" if max(worse) < min(better) else "not decided"


def accuracy_record(name: str, finished: Sequence[Trained], probe: Probe | None) -> Record | None:
    """An accuracy table from the runs that are there; None where there is none.

    Args:
        name: of the table.
        finished: runs of any table; of other seeds than the planned ones nothing is taken.
        probe: what a linear classifier of the pixels reaches on the same images.
    """
    accuracy, groups = _TABLES[name], groups_of(name)
    found: dict[str, list[Trained]] = {}
    for one in finished:
        if one.seed < SEEDS:
            found.setdefault(one.network_name, []).append(one)
    small = [group for group in groups if group.small]

    def runs_of(row: Row) -> list[Trained]:
        return found.get(Run(row.built, 0).network_name, [])

    def errors(row: Row) -> list[float]:
        return [one.error for one in runs_of(row)]

    def losses(row: Row) -> list[float]:
        return [one.training_loss for one in runs_of(row)]

    used = [one for group in small for row in group.rows for one in runs_of(row)]
    if not used:
        return None
    ranges = ("error, %", "lowest to highest", "training loss")
    columns = ("level", "network", "registry name", "paper: error, %", *ranges, "runs", "paper's order")
    rows: list[tuple[Cell, ...]] = []
    pairs: list[str] = []
    firsts: list[str] = []
    fitted: list[str] = []
    for group in small:
        for row in group.rows:
            ours, word = errors(row), ""
            if row is not group.rows[0]:
                word = _order(group.rows[0], row, errors)
                firsts.append(word)
                fitted.append(_order(group.rows[0], row, losses))
            spread = f"{min(ours):.1f} to {max(ours):.1f}" if ours else None
            shown_mean = f"{mean(ours):.1f}" if ours else None
            loss = f"{mean(losses(row)):.3f}" if ours else None
            network = Run(row.built, 0).network_name
            found_here = (shown_mean, spread, loss, len(ours), word or "(the first)")
            rows.append((group.level, row.label, network, row.error, *found_here))
        pairs += [_order(one, other, errors) for one, other in combinations(group.rows, 2)]
    notes = [
        f"the paper's order against the first of a level: {_counted(firsts)}",
        f"the same by the training loss of the last epoch: {_counted(fitted)}",
    ]
    if len(pairs) > len(firsts):
        notes.append(f"the paper's order of all pairs of a level: {_counted(pairs)}")
    notes += [_against_probe(used, probe), *accuracy.notes, *_not_run(name, groups)]
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


def _order(one: Row, other: Row, ours: Callable[[Row], list[float]]) -> str:
    better, worse = sorted((one, other), key=lambda row: row.error)
    return verdict(ours(better), ours(worse))


def _counted(verdicts: Sequence[str]) -> str:
    words = ("holds", "does not hold", "not decided", "not finished")
    return ", ".join(f"{word} for {count} of {len(verdicts)}" for word in words if (count := verdicts.count(word)))


def _against_probe(used: Sequence[Trained], probe: Probe | None) -> str:
    """Whether the networks learned enough for their order to mean something."""
    if probe is None:
        return "no linear probe was computed yet"
    weak = [f"{one.run_name} ({probe.error - one.error:.1f})" for one in used if probe.error - one.error < _MARGIN]
    least = min(probe.error - one.error for one in used)
    start = f"a linear probe on the pixels errs on {probe.error:.1f} %; every run must err {_MARGIN:g} points less"
    return f"{start}: these do not: {', '.join(weak)}" if weak else f"{start}, and the worst errs {least:.1f} less"


def _not_run(name: str, groups: Sequence[Group]) -> list[str]:
    """What the paper trained and the small scale leaves out."""
    left = [f"{group.level} ({', '.join(row.label for row in group.rows)})" for group in groups if not group.small]
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
