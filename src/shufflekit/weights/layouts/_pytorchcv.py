"""What pytorchcv's files have in common: stages and units count from 1, ours from 2 and 0."""

import re


def _unit(match: re.Match[str]) -> str:
    return f"stage{int(match[1]) + 1}.{int(match[2]) - 1}."


UNITS_AND_CLASSIFIER = [(r"^features\.stage(\d+)\.unit(\d+)\.", _unit), (r"^output\.", "fc.")]
