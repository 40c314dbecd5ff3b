"""From a spec as a user wrote it to one with every `auto` resolved, by a data set's record alone. Reads no data.

Every rule is a function of the spec and the record, never of the cluster, and a resolved spec resolves to itself.
Whatever cannot be done is an InvalidSpec that names the field, its value and what is allowed.
"""

from service.resolution.network import LOSSES, feature_width, output_units
from service.resolution.resolve import VALIDATION_POINTER, Resolution, resolve

__all__ = ["LOSSES", "VALIDATION_POINTER", "Resolution", "feature_width", "output_units", "resolve"]
