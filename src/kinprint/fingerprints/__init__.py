"""Measure a model once: the traits, the streaming pass that measures them, and the file that holds them."""

from kinprint.fingerprints.fingerprint import Fingerprint
from kinprint.fingerprints.from_model import fingerprint
from kinprint.fingerprints.measure import Progress, measure
from kinprint.fingerprints.trait_table import TRAIT_VERSION

__all__ = ["TRAIT_VERSION", "Fingerprint", "Progress", "fingerprint", "measure"]
