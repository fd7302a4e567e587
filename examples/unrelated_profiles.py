"""Profiles of models that were trained independently, for the reports: `python examples/unrelated_profiles.py SPECTRA`.

SPECTRA is a folder with per-head QK singular values of released models (SD-interp/qk-spectral-analysis, Apache-2.0). The other
profiles are those of the two shipped models that share nothing but architecture, data and recipe.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np

import kinprint
from kinprint.reports.comparison_profiles import STRANGERS, profiles

RELEASED = ("Llama-3.1-8B-Instruct", "Mistral-7B-Instruct-v0.1")
SHIPPED = ("base", "twin")


def released(folder: Path, name: str) -> kinprint.Fingerprint:
    with np.load(folder / f"{name}.npz") as stored:
        return kinprint.Fingerprint(name, {"heads.qk_spectrum": stored["qk_singular_values"]})


def main(spectra: Path) -> None:
    shipped = [kinprint.fingerprint(Path(__file__).parent / "models" / name) for name in SHIPPED]
    pairs = dict.fromkeys(profiles(shipped[0]), (shipped, "kinprint's shipped models, trained from two seeds"))
    pairs["log QK spectrum"] = ([released(spectra, name) for name in RELEASED], "SD-interp/qk-spectral-analysis, Apache-2.0")
    rows = [
        {
            "profile": name,
            "models": [model.name for model in models],
            "curves": [[round(float(value), 6) for value in profiles(model)[name]] for model in models],
            "source": source,
        }
        for name, (models, source) in pairs.items()
    ]
    STRANGERS.write_text(json.dumps({"format": "kinprint-strangers/1", "profiles": rows}, indent=1) + "\n", encoding="utf-8")
    print(f"{STRANGERS}: {len(rows)} profiles")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
