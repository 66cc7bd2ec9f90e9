"""The networks: ShuffleNet V1, V2, their variants, and the baselines of both papers."""

from shufflekit.models import alexnet as alexnet
from shufflekit.models import condensenet as condensenet
from shufflekit.models import densenet_like as densenet_like
from shufflekit.models import googlenet as googlenet
from shufflekit.models import igcv2 as igcv2
from shufflekit.models import igcv3 as igcv3
from shufflekit.models import like_v1 as like_v1
from shufflekit.models import mobilenet_v1 as mobilenet_v1
from shufflekit.models import mobilenet_v2 as mobilenet_v2
from shufflekit.models import nasnet as nasnet
from shufflekit.models import pnasnet as pnasnet
from shufflekit.models import resnet as resnet
from shufflekit.models import senet as senet
from shufflekit.models import shufflenet_v1 as shufflenet_v1
from shufflekit.models import shufflenet_v2 as shufflenet_v2
from shufflekit.models import shufflenet_v2_plus as shufflenet_v2_plus
from shufflekit.models import squeezenet as squeezenet
from shufflekit.models import vgg as vgg
from shufflekit.models import xception_like_v2 as xception_like_v2
from shufflekit.models._build import build_model
from shufflekit.models._network import FeatureInfo, FeatureNet, Network
from shufflekit.models._registry import ModelEntry, list_models, model_entry

__all__ = ["FeatureInfo", "FeatureNet", "ModelEntry", "Network", "build_model", "list_models", "model_entry"]
