"""Which unit of one model is which of the other, whatever was done to the form of the weights.

From fingerprints: `forms`, `invariants`, `readings` say of each neuron what a trait knows; `nearest` finds units that are each
other's nearest, `layers` which layers are compared, `twins` neurons that were split, `assignment` matches one to one.

From checkpoints (`--deep`): `neurons` takes the heaviest of every layer in folded form; `descriptors` says of each what no
disguise changes; `rotation` is the orthogonal map between two residual streams; `search` finds it, the layers and the neurons
that belong together, from what neurons read. `signs` and `writes` are what can then be tested; `disguise` says what was done.
"""
