"""Keeps what a training run showed: its epochs as JSON lines, and its curve as a picture.

    python scripts/record_run.py runs/cifar docs/cifar10

writes docs/cifar10.jsonl and docs/cifar10.svg.
"""

from __future__ import annotations

import json
from pathlib import Path

import altair as alt
from cyclopts import App

app = App()

_CURVES = {"val/ema_top1": "moving average", "val/model_top1": "network"}


def read_epochs(run: Path) -> list[dict[str, float]]:
    """The lines of metrics.jsonl that end an epoch."""
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text(encoding="utf-8").splitlines()]
    return [line for line in lines if "epoch/train_loss" in line]


def draw(epochs: list[dict[str, float]]) -> alt.Chart:
    """Held-out error, in %, over the epochs."""
    rows = [
        {"epoch": line["epoch"] + 1, "error": 100 - line[key], "weights": name}
        for line in epochs
        for key, name in _CURVES.items()
        if key in line
    ]
    return (
        alt.Chart(alt.Data(values=rows))
        .mark_line()
        .encode(
            x=alt.X("epoch:Q", title="epoch"),
            y=alt.Y("error:Q", title="held-out top-1 error, %", scale=alt.Scale(type="log", nice=False)),
            color=alt.Color("weights:N", title=None, legend=alt.Legend(orient="top-right")),
        )
        .properties(width=560, height=280, background="white")
    )


@app.default
def record(run: Path, out: Path) -> None:
    """Writes OUT.jsonl and OUT.svg from the folder of a run."""
    epochs = read_epochs(run)
    out.with_suffix(".jsonl").write_text("".join(json.dumps(line) + "\n" for line in epochs), encoding="utf-8")
    draw(epochs).save(out.with_suffix(".svg"))


if __name__ == "__main__":
    app()
