"""A stage's work on many workers, by Ray Data: units go out and rows come back as Parquet.

``spread.py`` is what a run is given, ``cluster.py`` starts Ray and asks it, ``workers.py`` is what runs in
Ray, ``parcels.py`` the files between them, ``orders.py`` the settings and words that travel. Importing this
loads neither Ray nor pyarrow. What a stage does, and how rows are kept, is not known here.
"""

from __future__ import annotations

from .orders import ClusterError, RaySettings
from .spread import SPREADABLE, RaySpread

__all__ = ["SPREADABLE", "ClusterError", "RaySettings", "RaySpread"]
