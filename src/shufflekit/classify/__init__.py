"""Photos to named classes, by whatever runs the network; `from_torch` for networks of PyTorch."""

from shufflekit.classify.classifier import Classifier, Prediction, engine_classifier

__all__ = ["Classifier", "Prediction", "engine_classifier"]
