"""The configuration that `peft` writes beside an adapter."""

from __future__ import annotations

from kinprint.checkpoints.folders import Location
from kinprint.checkpoints.opening import read_config
from kinprint.checkpoints.weight_choice import ADAPTER_CONFIG
from kinprint.library.declarations.declaration import parsed
from kinprint.library.declarations.places._place import Place, Said, in_file, strings


def read(location: Location) -> Said:
    config = in_file(location, ADAPTER_CONFIG, read_config)
    return Said(tuple(parsed(name, "adapter") for name in strings(config.get("base_model_name_or_path"))[:1]))


PLACE = Place("adapter configuration", 10, read)
