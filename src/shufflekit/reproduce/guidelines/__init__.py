"""Tables 1 to 4 of ShuffleNet V2: its guidelines G1 to G4, measured here."""

from shufflekit.reproduce.guidelines.measure import Column, Row, Run, Table, available_engines, measure_table
from shufflekit.reproduce.guidelines.networks import NOTES, TABLES, PaperTable
from shufflekit.reproduce.guidelines.verdict import Verdict, judge

__all__ = [
    "NOTES",
    "TABLES",
    "Column",
    "PaperTable",
    "Row",
    "Run",
    "Table",
    "Verdict",
    "available_engines",
    "judge",
    "measure_table",
]
