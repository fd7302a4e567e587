"""Small models trained with known lineage: the ground truth that methods are measured on.

`lineage` says who descends from whom and needs nothing but Python. What trains models needs the extra `behaviour`.
"""

from kinprint.zoo.lineage import Lineage, Member, Relation

__all__ = ["Lineage", "Member", "Relation"]
