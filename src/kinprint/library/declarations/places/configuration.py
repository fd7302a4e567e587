"""`_name_or_path` of config.json: what was loaded, perhaps only a configuration."""

from __future__ import annotations

from kinprint.checkpoints.folders import CONFIG, Location
from kinprint.checkpoints.opening import read_config
from kinprint.library.declarations.declaration import parsed
from kinprint.library.declarations.places._place import Place, Said, in_file, strings


def read(location: Location) -> Said:
    """Only an `org/name`: everything else is how somebody called a folder of theirs."""
    config = in_file(location, CONFIG, read_config)
    named = [parsed(name) for name in strings(config.get("_name_or_path"))[:1]]
    return Said(tuple(declaration for declaration in named if "/" in declaration.name))


PLACE = Place("configuration", 90, read, of_weights=False)
