"""A store of models as Ollama keeps it."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

MEDIA = "application/vnd.ollama.image."


def keep(store: Path, where: str, **layers: bytes) -> Path:
    """Keep layers, by kind, under their digests and name them in a manifest, as Ollama does; gives the manifest."""
    listed = []
    (store / "blobs").mkdir(parents=True, exist_ok=True)
    for kind, content in layers.items():
        digest = hashlib.sha256(content).hexdigest()
        (store / "blobs" / f"sha256-{digest}").write_bytes(content)
        listed.append({"mediaType": MEDIA + kind, "digest": f"sha256:{digest}", "size": len(content)})
    manifest = store / "manifests" / where
    manifest.parent.mkdir(parents=True, exist_ok=True)
    manifest.write_text(json.dumps({"schemaVersion": 2, "layers": listed}))
    return manifest
