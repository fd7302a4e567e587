"""The output head, where it is not the embedding: does its column c resemble column c of the reference's?"""

from __future__ import annotations

from kinprint.methods._columns import columns_test

METHOD = columns_test("output-head", "columns.head", "head", "output head")
