"""The input embedding: does column c of the suspect's resemble column c of the reference's, more than relabelled ones do?"""

from __future__ import annotations

from kinprint.methods._columns import columns_test

METHOD = columns_test("embedding", "columns.embedding", "embedding", "input embedding")
