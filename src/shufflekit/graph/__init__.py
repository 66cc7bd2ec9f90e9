"""A network as plain data: captured by torch.export, simplified by rewrites."""

from shufflekit.graph.capture import capture
from shufflekit.graph.graph import Graph, Node, Value
from shufflekit.graph.interpret import interpret
from shufflekit.graph.simplify import simplify

__all__ = ["Graph", "Node", "Value", "capture", "interpret", "simplify"]
