"""Which neuron of the suspect is which neuron of the reference, whatever was done to the form of the weights.

`neurons` takes the heaviest neurons of every layer in folded form; `descriptors` says of each what no disguise changes;
`rotation` is the orthogonal map between two residual streams; `search` finds it, the layers and the neurons that belong
together, from what neurons read. `signs` and `writes` are what can then be tested; `disguise` says what had been done.
"""

from kinprint.matching.disguise import disguise
from kinprint.matching.search import Correspondence, Match, correspondence
from kinprint.matching.signs import sign_agreements, signed_products
from kinprint.matching.writes import write_agreements

__all__ = ["Correspondence", "Match", "correspondence", "disguise", "sign_agreements", "signed_products", "write_agreements"]
