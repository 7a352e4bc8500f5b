"""Pictures of a training, and of what a network sees.

Every function returns a matplotlib `Figure`, which `tinynet.viz.save` writes and a notebook shows;
what is computed for a picture has a function of its own, which returns arrays. Matplotlib comes
with `pip install 'tinynet[viz]'`.
"""

from .confusion import confusion
from .curves import learning_curves
from .feature_maps import feature_maps, layer_outputs
from .figure import missing, save
from .filters import filters
from .grad_cam import grad_cam, grad_cam_map
from .learning_rates import learning_rates
from .loss_surface import LossGrid, loss_grid, loss_surface, random_direction
from .mistakes import mistakes
from .occlusion import occlusion, occlusion_map
from .saliency import saliency, saliency_map
from .signals import Signals, layer_signals, signals

__all__ = [
    "LossGrid",
    "Signals",
    "confusion",
    "feature_maps",
    "filters",
    "grad_cam",
    "grad_cam_map",
    "layer_outputs",
    "layer_signals",
    "learning_curves",
    "learning_rates",
    "loss_grid",
    "loss_surface",
    "missing",
    "mistakes",
    "occlusion",
    "occlusion_map",
    "random_direction",
    "saliency",
    "saliency_map",
    "save",
    "signals",
]
