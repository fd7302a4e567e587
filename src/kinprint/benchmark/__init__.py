"""Labelled pairs in, a table of methods out."""
