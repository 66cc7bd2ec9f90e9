"""A network as plain data: nodes, values and constants, simplified by rewrites. `from_torch` is a way in."""

from shufflekit.graph.builder import Builder
from shufflekit.graph.graph import Graph, Node, Value
from shufflekit.graph.interpret import interpret
from shufflekit.graph.operator import BATCH, Operator
from shufflekit.graph.simplify import simplify

__all__ = ["BATCH", "Builder", "Graph", "Node", "Operator", "Value", "interpret", "simplify"]
