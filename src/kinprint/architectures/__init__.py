"""Architectures as tables: which tensor plays which role, and the space of each of its axes."""

from kinprint.architectures.anatomy import Anatomy, Lines, Part
from kinprint.architectures.recognise import recognise
from kinprint.architectures.table import Table, known

__all__ = ["Anatomy", "Lines", "Part", "Table", "known", "recognise"]
