"""Who stands between whom: families by tests, trees by neighbour joining, directions by marks of measured accuracy."""
