"""Measure a model once: the traits, the streaming pass that measures them, and the file that holds them.

`Fingerprint` is there at once; what measures is imported when `fingerprint` is first used.
"""

from typing import TYPE_CHECKING

from kinprint.exports import lazily
from kinprint.fingerprints.fingerprint import Fingerprint
from kinprint.fingerprints.trait_table import TRAIT_VERSION

if TYPE_CHECKING:
    from kinprint.fingerprints.from_model import fingerprint
else:
    del fingerprint  # the module, which the import above has put here
    __getattr__ = lazily(__name__, {"fingerprint": "from_model"})

__all__ = ["TRAIT_VERSION", "Fingerprint", "fingerprint"]
