"""Architectures as tables: which tensor plays which role, and the space of each of its axes."""

from kinprint.architectures.anatomy import Anatomy, Lines, Part, Place
from kinprint.architectures.opened import OpenModel, open_model
from kinprint.architectures.recognise import recognise
from kinprint.architectures.table import Table, known
from kinprint.architectures.weights import Weights

__all__ = ["Anatomy", "Lines", "OpenModel", "Part", "Place", "Table", "Weights", "known", "open_model", "recognise"]
