"""The way in from ONNX files; it loads no torch."""

from shufflekit.graph.from_onnx.load import OnnxNetwork, input_shapes, load_onnx

__all__ = ["OnnxNetwork", "input_shapes", "load_onnx"]
