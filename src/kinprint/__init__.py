"""Paternity tests for language models.

    checkpoint -> anatomy -> fingerprint -> comparison -> report

`checkpoints` opens a model's files without executing anything of them; `architectures` says which tensor plays which role;
`fingerprints` measures the traits of a model once; `methods` compare two fingerprints, on the permutation engine of
`statistics`; `comparison` combines their evidence to a verdict; `reports` and `cli` show it.

    >>> import kinprint
    >>> kinprint.compare("examples/models/base", "examples/models/twin").verdict  # doctest: +SKIP
    'no-evidence'
"""

from kinprint.checkpoints import open_checkpoint
from kinprint.comparison import Comparison, compare
from kinprint.errors import KinprintError
from kinprint.fingerprints import Fingerprint, fingerprint
from kinprint.library import Library
from kinprint.methods import Evidence, Method

__all__ = [
    "Comparison",
    "Evidence",
    "Fingerprint",
    "KinprintError",
    "Library",
    "Method",
    "compare",
    "fingerprint",
    "open_checkpoint",
]
