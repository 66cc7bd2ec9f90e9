"""The way out to ONNX files; never torch."""

from shufflekit.graph.to_onnx.write import to_onnx, written

__all__ = ["to_onnx", "written"]
