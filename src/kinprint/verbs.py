"""What `audit`, `identify`, `gather`, `matrix`, `tree` and `verify` do, for Python programs: models and libraries are opened
here, and not below.

The functions below take fingerprints; these take what the commands take. `compare`, `fingerprint`, `observe` and `transform`
open models themselves.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from pathlib import Path

from kinprint.architectures import Weights, open_model
from kinprint.auditing.audit import audit_chain
from kinprint.auditing.chain import Stage, named, read_chain, require_order
from kinprint.auditing.findings import Audit
from kinprint.comparison import ALPHA
from kinprint.comparison.components import kinds
from kinprint.comparison.in_order import in_order
from kinprint.fingerprints import Fingerprint, fingerprint
from kinprint.fingerprints.from_model import SUFFIX
from kinprint.library.declarations.base_models import at_hand
from kinprint.library.declarations.verify import Options, Verification
from kinprint.library.declarations.verify import verify as verify_place
from kinprint.library.identify import Identification
from kinprint.library.identify import identify as identify_fingerprint
from kinprint.library.matrix import Matrix
from kinprint.library.matrix import matrix as matrix_of_fingerprints
from kinprint.library.merges.candidates import candidates as candidates_in
from kinprint.library.merges.gather import gather as gather_fingerprint
from kinprint.library.merges.gather_result import Gathering
from kinprint.library.store import Library
from kinprint.library.trees.tree import Forest
from kinprint.library.trees.tree import tree as tree_of_fingerprints
from kinprint.terms import CANDIDATES

AnyModel = str | os.PathLike[str] | Fingerprint
"""The place of a model (folder, file, hub id, URL, `.kinprint` file), or its fingerprint."""

AnyLibrary = str | os.PathLike[str] | Library
"""The place of a library (folder, URL), or the open library."""

Progress = Callable[[str, int, int], None]
"""Called with what is being done, how much of it is done and how much there is."""


def identify(
    suspect: AnyModel,
    library: AnyLibrary,
    *,
    candidates: int = CANDIDATES,
    quick: bool = False,
    alpha: float = ALPHA,
    test_all: bool = False,
    part: str | None = None,
    cache: bool = True,
    progress: Progress = lambda name, done, total: None,
) -> Identification:
    """Find a model's relatives in a library.

    Args:
        suspect: the model: its place or its fingerprint.
        library: where to look: the place of a library, or an open one.
        candidates: how many models to test; all of a library that has no more.
        quick: read about 1 % of the suspect's weights (see `fingerprint`).
        alpha: largest p-value, corrected for the number of tests and of models in the library, that is called related.
        test_all: test the other candidates too where one holds the suspect's weights. P-values are the same.
        part: judge this part alone: "vision tower", "FFN" ... (`kinprint.terms.PARTS`, `COMPONENTS`).
        cache: use fingerprints and tests of earlier runs, and keep new ones.
        progress: called with the name of a model that was looked at, how many have been and how many there are.

    Returns:
        what is known of every model that was looked at, relatives first.

    Raises:
        KinprintError: the suspect or the library cannot be read. Single models in it that cannot are named in the result.

    Example:
        >>> import kinprint
        >>> library = kinprint.Library.open("models.lib", create=True)
        >>> library.add([kinprint.fingerprint("examples/models/base"), kinprint.fingerprint("examples/models/twin")])
        2
        >>> found = kinprint.identify("examples/models/finetune", "models.lib")
        >>> [relative.name for relative in found.relatives]
        ['base']
    """
    return identify_fingerprint(
        fingerprint(suspect, quick=quick, cache=cache),
        _opened(library),
        candidates=candidates,
        alpha=alpha,
        test_all=test_all,
        part=part,
        cache=cache,
        progress=progress,
    )


def gather(
    suspect: AnyModel,
    among: Iterable[AnyModel] = (),
    *,
    library: AnyLibrary | None = None,
    alpha: float = ALPHA,
    progress: Progress = lambda name, done, total: None,
) -> Gathering:
    """Find which models a model was put together from, with how much of each, and how.

    Args:
        suspect: the model that is taken apart: its place or its fingerprint.
        among: models that may be parts of it.
        library: a library that may hold its parts, besides; those of the suspect's width are looked at, and all count as
            searched.
        alpha: largest p-value, corrected for all models searched, at which one counts as a part.
        progress: called with the name of a model, how many were compared by other tests, and how many there are.

    Returns:
        the parts and their coefficients, and how the parts were combined.

    Raises:
        KinprintError: a model or the library cannot be read.

    Example:
        >>> import kinprint
        >>> base, finetune = "examples/models/base", "examples/models/finetune"
        >>> made = kinprint.transform("merge", base, "merged", others=[finetune], weights=[0.3, 0.7])
        >>> found = kinprint.gather("merged", [base, finetune])
        >>> found.kind, {part.model.name: round(part.coefficient, 2) for part in found.parents}
        ('linear', {'finetune': 0.7, 'base': 0.3})
    """
    examined = fingerprint(suspect)
    models = [fingerprint(model) for model in among]
    searched = len(models)
    if library is not None:
        opened = _opened(library)
        models += candidates_in(examined, opened)
        searched += len(opened)
    once = {model.digest: model for model in models}
    return gather_fingerprint(examined, list(once.values()), alpha=alpha, size=searched, progress=progress)


def tree(
    models: Iterable[AnyModel] = (),
    *,
    library: AnyLibrary | None = None,
    alpha: float = ALPHA,
    test_all: bool = False,
    part: str | None = None,
    cache: bool = True,
    progress: Progress = lambda what, done, total: None,
) -> Forest:
    """Join models to families by the tests, and estimate the tree of each family.

    Args:
        models: places or fingerprints.
        library: a library all of whose models are taken, besides.
        alpha: chance, at most, that any two models of independent training are joined.
        test_all: test every pair, also where there are more than 64 models; else only pairs whose vectors lie near.
        part: take this component of each model, "vision tower"; of the library those models that have it.
        cache: use fingerprints and tests of earlier runs, and keep new ones.
        progress: called with what is being done, how much is done and how much there is.

    Returns:
        one tree a family, and the models that have no relative among the others.

    Raises:
        MissingExtraError: scikit-bio is not installed.
        KinprintError: a model or the library cannot be read.

    Example:
        >>> import kinprint
        >>> forest = kinprint.tree(["examples/models/base", "examples/models/finetune", "examples/models/twin"])
        >>> [[forest.name(model) for model in family.models] for family in forest.families]
        [['base', 'finetune']]
    """
    fingerprints, stored = [fingerprint(model, cache=cache) for model in models], {}
    if library is not None:
        opened = _opened(library)
        digests = [model.digest for model in opened.models()]
        theirs = list(in_order(opened.get, digests))
        fingerprints += theirs if part is None else [model for model in theirs if part in kinds(model)]
        stored = opened.vectors(digests) if part is None else {}
    if part is not None:
        fingerprints = [model.component(part) for model in fingerprints]
    return tree_of_fingerprints(fingerprints, alpha=alpha, test_all=test_all, stored=stored, cache=cache, progress=progress)


def matrix(
    models: Iterable[AnyModel] = (),
    *,
    library: AnyLibrary | None = None,
    quick: bool = False,
    alpha: float = ALPHA,
    cache: bool = True,
    progress: Progress = lambda what, done, total: None,
) -> Matrix:
    """Compare every pair of models.

    Args:
        models: places or fingerprints.
        library: a library all of whose models are taken, besides.
        quick: read about 1 % of the weights of models that are measured (see `fingerprint`).
        alpha: chance, at most, that any two models of independent training are called related: each pair is tested at alpha
            divided by the number of pairs.
        cache: use fingerprints and tests of earlier runs, and keep new ones.
        progress: called with what is done, how many pairs were compared, and how many there are.

    Returns:
        verdict and corrected p-value of every pair, and the families.

    Raises:
        KinprintError: a model or the library cannot be read.

    Example:
        >>> import kinprint
        >>> found = kinprint.matrix(["examples/models/base", "examples/models/finetune", "examples/models/twin"])
        >>> [(found.names[cell.a], found.names[cell.b], cell.verdict) for cell in found.cells]
        [('base', 'finetune', 'related'), ('base', 'twin', 'no-evidence'), ('finetune', 'twin', 'no-evidence')]
    """
    fingerprints = [fingerprint(model, quick=quick, cache=cache) for model in models]
    if library is not None:
        opened = _opened(library)
        fingerprints += in_order(opened.get, [model.digest for model in opened.models()])
    return matrix_of_fingerprints(fingerprints, alpha=alpha, cache=cache, progress=progress)


def verify(
    model: str | os.PathLike[str],
    *,
    models: str | os.PathLike[str] | None = None,
    library: AnyLibrary | None = None,
    against: Iterable[AnyModel] = (),
    offline: bool = False,
    quick: bool = False,
    deep: bool = True,
    part: str | None = None,
    alpha: float = ALPHA,
) -> Verification:
    """Compare a model with everything that it says it was made from.

    Args:
        model: its place, where its card and configuration lie too, or a `.kinprint` file.
        models: a folder in which declared bases are looked for first, as `org/name` or `name`.
        library: a library in which declared bases are looked for, and relatives that are not declared.
        against: models among which to look as in a library: places or fingerprints.
        offline: ask no hub and no server: a declared base that is not on this disk is not found.
        quick: look at 1 % of the weights at most: enough to confirm, not to contradict.
        deep: compare both checkpoints before contradicting, where both are at hand.
        part: judge this part alone, as `identify` does.
        alpha: largest p-value, corrected for all that was tried, that is called related.

    Returns:
        what was found about each declared base, the relatives that nobody declares, and the conclusion.

    Raises:
        KinprintError: the model itself, one of `against` or the library cannot be read. What is wrong with a base is a finding.

    Example:
        >>> import kinprint
        >>> found = kinprint.verify("examples/models/finetune", models="examples/models", offline=True)
        >>> found.conclusion, [(finding.declaration.name, finding.status) for finding in found.findings]
        ('confirmed', [('base', 'confirmed')])
    """
    place = library.where if isinstance(library, Library) else library
    known = at_hand([fingerprint(each, offline=offline) for each in against], None if place is None else os.fspath(place))
    mirror = None if models is None else Path(models)
    options = Options(mirror, known, offline=offline, quick=quick, deep=deep, alpha=alpha, part=part)
    return verify_place(os.fspath(model), options)


def audit(
    chain: str | os.PathLike[str] | Iterable[AnyModel | Stage],
    *,
    library: AnyLibrary | None = None,
    against: Iterable[AnyModel] = (),
    alpha: float = ALPHA,
    cache: bool = True,
    progress: Progress = lambda what, done, total: None,
) -> Audit:
    """Ask of a chain of checkpoints, from its random start to its release, whether it is one training and nobody else's.

    Args:
        chain: places or fingerprints, or `Stage`s with step and date, in order; or the TOML or JSON file that states them.
        library: a library of models of others: kin of the start or of the release is looked for among them.
        against: models of others, named one by one.
        alpha: largest p-value of each question, corrected for all that it asked, that counts.
        cache: use fingerprints and tests of earlier runs, and keep new ones.
        progress: called with what is asked, how many questions were and how many there are.

    Returns:
        what holds, what is broken and where, and what could not be tested; `to_json` says besides what no audit shows.

    Raises:
        ChainError: the file states no chain, or checkpoints are too few or out of order, or hold weights that are no numbers.
        KinprintError: a checkpoint, one of `against` or the library cannot be read.

    Example:
        >>> import kinprint
        >>> found = kinprint.audit(["examples/models/twin", "examples/models/base", "examples/models/finetune"])
        >>> found.conclusion, [finding.where for finding in found.of("kinship") if finding.state == "broken"]
        ('broken', ['twin to base'])
    """
    stages, held = _stages(chain)
    require_order(stages)
    models = [fingerprint(held.get(number, stage.place), cache=cache) for number, stage in enumerate(stages)]
    others = [fingerprint(each, cache=cache) for each in against]
    opened = None if library is None else _opened(library)
    start = None if 0 in held else weights_at(stages[0].place)
    return audit_chain(stages, models, start=start, against=others, library=opened, alpha=alpha, cache=cache, progress=progress)


def weights_at(place: str) -> Weights | None:
    """The weights of a checkpoint, read when they are asked for; None of a `.kinprint` file.

    Raises:
        CheckpointError, ArchitectureError: it cannot be read.
    """
    return None if Path(place).suffix == SUFFIX else open_model(place).weights


def _stages(
    chain: str | os.PathLike[str] | Iterable[AnyModel | Stage],
) -> tuple[list[Stage], dict[int, Fingerprint]]:
    """The chain, and which of its checkpoints are fingerprints already."""
    if isinstance(chain, str | os.PathLike):
        return read_chain(chain), {}
    stages, held = list[Stage](), dict[int, Fingerprint]()
    for number, each in enumerate(chain):
        if isinstance(each, Fingerprint):
            held[number] = each
            stages.append(Stage(each.name, each.name))
        else:
            stages.append(each if isinstance(each, Stage) else named([os.fspath(each)])[0])
    return stages, held


def _opened(library: AnyLibrary) -> Library:
    return library if isinstance(library, Library) else Library.open(library)
