"""The way in from ONNX files; it loads no torch."""

from shufflekit.graph.from_onnx.load import OnnxNetwork, load_onnx

__all__ = ["OnnxNetwork", "load_onnx"]
