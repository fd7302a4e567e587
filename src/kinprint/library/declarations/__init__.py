"""What models and documents say of themselves, and whether it is so."""
