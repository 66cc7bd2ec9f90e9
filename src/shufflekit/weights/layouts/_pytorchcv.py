"""What pytorchcv's files have in common: stages and units count from 1, ours from 2 and 0."""

import re

from shufflekit.weights.layouts._layout import Rules


def _unit(match: re.Match[str]) -> str:
    return f"stage{int(match[1]) + 1}.{int(match[2]) - 1}."


UNITS_AND_CLASSIFIER: Rules = [(r"^features\.stage(\d+)\.unit(\d+)\.", _unit), (r"^output\.", "fc.")]
