"""Paternity tests for language models: is one model made from another's weights?

    >>> import kinprint
    >>> kinprint.compare("examples/models/base", "examples/models/finetune").verdict
    'related'
    >>> kinprint.compare("examples/models/base", "examples/models/twin").verdict
    'no-evidence'

A model is named by its place (a folder, a file, a hub id, a URL) or is a `Fingerprint` that was measured before; a library is
named by its folder or URL, or is an open `Library`. Every error that is an input's fault is a `KinprintError`.

The packages, from the ground up; each imports only what stands above it in this list:

    checkpoints    opens the files of a model and executes nothing of them: open_checkpoint
    architectures  says which tensor plays which role
    transforms     makes a model from a model: transform
    fingerprints   measures a model once: fingerprint, Fingerprint
    observation    runs a model and records what it does: observe
    statistics     exact tests, multiplicity, alignment; knows no models
    matching       finds which unit of one model is which of another
    methods        compare two fingerprints, one file each: Method (Test or Score), Finding, Evidence
    comparison     runs the methods and gives the verdict: compare, Comparison
    difference     says what changed from one model to another: diff, Changes
    library        searches many fingerprints: Library, identify, gather, matrix, tree, verify
    blackbox       tests what only answers, through an API or run here: palimpsest, head_span, same_endpoint, controls
    auditing       asks of a chain of checkpoints whether it is one training: audit, Audit
    zoo            trains small models of known lineage
    benchmark      measures every method on pairs of known lineage
    reports        writes results as text, JSON, HTML, CycloneDX and in-toto
    server         shows a library in a browser and answers over REST
    cli            the command line

Importing `kinprint` imports none of them: each is imported when a name of it is first used.
"""

from typing import TYPE_CHECKING, Any

from kinprint._version import __version__ as __version__
from kinprint.errors import KinprintError

if TYPE_CHECKING:
    from kinprint.auditing.findings import Audit
    from kinprint.blackbox.result import BlackBoxResult
    from kinprint.checkpoints.opening import open_checkpoint
    from kinprint.comparison.comparison import Comparison, compare
    from kinprint.difference.changes import Changes, diff
    from kinprint.fingerprints.fingerprint import Fingerprint
    from kinprint.fingerprints.from_model import fingerprint
    from kinprint.fingerprints.inspection import Inspection, inspect
    from kinprint.library.declarations.verify import Verification
    from kinprint.library.identify import Identification
    from kinprint.library.matrix import Matrix
    from kinprint.library.merges.gather_result import Gathering
    from kinprint.library.store import Library
    from kinprint.library.trees.tree import Forest
    from kinprint.methods import Evidence, Finding, Method, Score, Test
    from kinprint.observation.observe import observe
    from kinprint.transforms import apply as transform
    from kinprint.verbs import audit, gather, identify, matrix, tree, verify
    from kinprint.verbs_black_box import controls, head_span, palimpsest, same_endpoint

__all__ = [
    "Audit",
    "BlackBoxResult",
    "Changes",
    "Comparison",
    "Evidence",
    "Finding",
    "Fingerprint",
    "Forest",
    "Gathering",
    "Identification",
    "Inspection",
    "KinprintError",
    "Library",
    "Matrix",
    "Method",
    "Score",
    "Test",
    "Verification",
    "audit",
    "compare",
    "controls",
    "diff",
    "fingerprint",
    "gather",
    "head_span",
    "identify",
    "inspect",
    "matrix",
    "observe",
    "open_checkpoint",
    "palimpsest",
    "same_endpoint",
    "transform",
    "tree",
    "verify",
]

_HOMES = {
    "Audit": "kinprint.auditing.findings:Audit",
    "BlackBoxResult": "kinprint.blackbox.result:BlackBoxResult",
    "Changes": "kinprint.difference.changes:Changes",
    "Comparison": "kinprint.comparison.comparison:Comparison",
    "Evidence": "kinprint.methods:Evidence",
    "Finding": "kinprint.methods:Finding",
    "Fingerprint": "kinprint.fingerprints.fingerprint:Fingerprint",
    "Forest": "kinprint.library.trees.tree:Forest",
    "Gathering": "kinprint.library.merges.gather_result:Gathering",
    "Identification": "kinprint.library.identify:Identification",
    "Inspection": "kinprint.fingerprints.inspection:Inspection",
    "Library": "kinprint.library.store:Library",
    "Matrix": "kinprint.library.matrix:Matrix",
    "Method": "kinprint.methods:Method",
    "Score": "kinprint.methods:Score",
    "Test": "kinprint.methods:Test",
    "Verification": "kinprint.library.declarations.verify:Verification",
    "audit": "kinprint.verbs:audit",
    "compare": "kinprint.comparison.comparison:compare",
    "controls": "kinprint.verbs_black_box:controls",
    "diff": "kinprint.difference.changes:diff",
    "fingerprint": "kinprint.fingerprints.from_model:fingerprint",
    "gather": "kinprint.verbs:gather",
    "head_span": "kinprint.verbs_black_box:head_span",
    "identify": "kinprint.verbs:identify",
    "inspect": "kinprint.fingerprints.inspection:inspect",
    "matrix": "kinprint.verbs:matrix",
    "observe": "kinprint.observation.observe:observe",
    "open_checkpoint": "kinprint.checkpoints.opening:open_checkpoint",
    "palimpsest": "kinprint.verbs_black_box:palimpsest",
    "same_endpoint": "kinprint.verbs_black_box:same_endpoint",
    "transform": "kinprint.transforms:apply",
    "tree": "kinprint.verbs:tree",
    "verify": "kinprint.verbs:verify",
}
"""Name -> where it is, as the imports above say to type checkers; tests/test_public.py compares the two."""


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used (PEP 562)."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from pkgutil import resolve_name

    globals()[name] = resolve_name(_HOMES[name])
    return globals()[name]


def __dir__() -> list[str]:
    """All public names, imported or not."""
    return sorted({*globals(), *__all__})
