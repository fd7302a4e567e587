"""Many fingerprints: stored, searched, joined to trees, taken apart into their parents."""
