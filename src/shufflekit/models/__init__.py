"""The networks: ShuffleNet V1, V2, their variants, and the baselines of both papers."""

from shufflekit.models import shufflenet_v1 as shufflenet_v1
from shufflekit.models import shufflenet_v2 as shufflenet_v2
from shufflekit.models import shufflenet_v2_plus as shufflenet_v2_plus
from shufflekit.models._network import FeatureInfo, FeatureNet, Network
from shufflekit.models._registry import ModelEntry, build_model, list_models, model_entry

__all__ = ["FeatureInfo", "FeatureNet", "ModelEntry", "Network", "build_model", "list_models", "model_entry"]
