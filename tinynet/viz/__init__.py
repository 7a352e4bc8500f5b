"""Pictures of a training: learning curves, the confusion matrix, the images it got wrong.

Every function returns a matplotlib `Figure`, which `tinynet.viz.save` writes and a notebook shows.
Matplotlib comes with `pip install 'tinynet[viz]'`.
"""

from .confusion import confusion
from .curves import learning_curves
from .figure import missing, save
from .mistakes import mistakes

__all__ = ["confusion", "learning_curves", "missing", "mistakes", "save"]
