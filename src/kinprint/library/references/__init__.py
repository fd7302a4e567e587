"""Well-known base models: the list that ships with the package, and the library made from it."""
