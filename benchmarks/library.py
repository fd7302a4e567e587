"""What a library costs, beside a folder of `.kinprint` files; and what happens when many write at once.

python benchmarks/library.py [--models 200] [--listed 10000]  adds a second, bytes a model, time of a list
python benchmarks/library.py --race                             eight writers of the same digests, by Lance's means alone
python benchmarks/library.py --kills 20                         eight writers, killed at random moments, and a reader
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "tests"))

from writers import write_together  # noqa: E402

from kinprint import Fingerprint, Library, fingerprint  # noqa: E402
from kinprint.library import records  # noqa: E402

WRITERS, ROUNDS, EACH = 8, 10, 4

RACE = """
import random, sys, time
from pathlib import Path
import lancedb, pyarrow as pa
how, folder = sys.argv[1], Path(sys.argv[2])
table = lancedb.connect(folder).open_table("models")
(folder / f"ready-{sys.argv[3]}").touch()
while not (folder / "go").exists():
    time.sleep(0.001)
for number in range(int(sys.argv[4])):
    rows = [f"{number}-{i}" for i in range(int(sys.argv[5]))]
    random.shuffle(rows)
    insert = table.merge_insert("digest").when_not_matched_insert_all().use_index(how != "key")
    insert.execute(pa.table({"digest": rows}, schema=table.schema))
"""


def models(count: int, traits: tuple[str, ...] | None = None) -> Iterator[Fingerprint]:
    """Fingerprints as that of the shipped base model, or with some of its traits, which differ in one trait."""
    base = fingerprint(ROOT / "examples" / "models" / "base", cache=False)
    kept = {name: trait for name, trait in base.traits.items() if traits is None or name in traits}
    chance = np.random.default_rng(0)
    for number in range(count):
        gains = chance.uniform(0.5, 1.5, base.traits["gains.final"].shape).astype(np.float32)
        yield Fingerprint(f"model-{number}", {**kept, "gains.final": gains}, base.facts, base.provenance)


def timed(label: str, act: Callable[[], object], count: int | None = None) -> None:
    wall, processor = time.perf_counter(), time.process_time()
    act()
    wall, processor = time.perf_counter() - wall, time.process_time() - processor
    rate = f"{count / wall:10,.0f} a second, {1000 * processor / count:8.2f} ms of processor each" if count else ""
    print(f"{label:<45}{wall:8.2f} s{rate}", flush=True)


def cost(count: int, listed: int, folder: Path) -> None:
    """Whole fingerprints are added and looked up; rows and small files, with all facts, are listed."""
    library, single = Library.open(folder / "library", create=True), Library.open(folder / "single", create=True)
    library.add(models(1, ()))  # Lance is loaded by now
    whole = list(models(count))
    timed(f"add {count} models, library", lambda: library.add(whole), count)
    timed(f"add {count} models, library, a commit each", lambda: [single.add([each]) for each in whole], count)
    timed(f"add {count} models, files", lambda: save(whole, folder / "files"), count)
    timed("optimize, after a commit each", single.optimize)
    for name in ("library", "files"):
        print(f"{f'bytes on disk a model, {name}':<45}{size(folder / name) / count:10,.0f}")
    print(f"{'of these without the fingerprint':<45}{size(folder / 'library' / 'models.lance') / count:10,.0f}")
    timed("get one by name", lambda: library.get(f"model-{count // 2}"))

    fill(folder, listed)
    timed(f"list {listed} models, library", lambda: list(Library.open(folder / "many").models()), listed)
    read = (folder / "many-files").iterdir
    timed(f"list {listed} models, files", lambda: [Fingerprint.load(file).name for file in read()], listed)


def fill(folder: Path, count: int) -> None:
    """The rows of so many models, without fingerprints, for they are not read; and as many small files, with all facts."""
    (small,) = models(1, ())
    data = records.data_of(small)
    row = records.row(small, len(data))
    rows = [{**row, "digest": f"{number:064x}", "name": f"model-{number}"} for number in range(count)]
    many = Library.open(folder / "many", create=True)
    for start in range(0, count, 1000):
        many._insert("models", pa.Table.from_pylist(rows[start : start + 1000], records.models_schema()))
    many.optimize()
    (folder / "many-files").mkdir()
    for number in range(count):
        (folder / "many-files" / f"{number}.kinprint").write_bytes(data)


def save(found: list[Fingerprint], folder: Path) -> None:
    folder.mkdir()
    for each in found:
        each.save(folder / f"{each.name}.kinprint")


def size(folder: Path) -> int:
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())


def race(folder: Path) -> None:
    """Eight processes insert the same digests in the same moment."""
    import lancedb

    metadata = {"lance-schema:unenforced-primary-key": "true"}
    for how in ("key", "plain", "key, index"):
        place = folder / how
        keyed = pa.schema([pa.field("digest", pa.string(), nullable=False, metadata=metadata if "key" in how else None)])
        table = lancedb.connect(place).create_table("models", schema=keyed)
        if "index" in how:
            from lancedb.index import BTree

            table.add(pa.table({"digest": [f"old-{i}" for i in range(5000)]}, schema=keyed))
            table.create_index("digest", config=BTree())
        before = table.count_rows()
        command = [sys.executable, "-c", RACE, how, str(place)]
        writers = [subprocess.Popen([*command, str(number), str(ROUNDS), str(EACH)]) for number in range(WRITERS)]
        while len(list(place.glob("ready-*"))) < WRITERS:
            time.sleep(0.05)
        (place / "go").touch()
        assert not any(writer.wait() for writer in writers)
        table.checkout_latest()
        rows = table.count_rows() - before
        print(f"merge_insert ({how}): {rows} rows of {ROUNDS * EACH} models", flush=True)


def kills(victims: int, folder: Path) -> None:
    Library.open(folder / "library", create=True)
    (folder / "scratch").mkdir()
    rounds = max(6, victims)
    seen = write_together(folder / "library", folder / "scratch", rounds=rounds, victims=victims)
    library = Library.open(folder / "library")
    digests = {found.digest for found in library.models()}
    rows = [library._table(table).count_rows() for table in ("models", "fingerprints")]
    lost = set(seen["acknowledged"]) - digests
    print(f"{seen['killed']} processes killed, {len(seen['acknowledged'])} models acknowledged, {len(lost)} of them lost")
    print(f"rows of models and fingerprints {rows}, expected {seen['expected']}")
    print(f"{seen['reads']} reads meanwhile, {len(seen['wrong'])} of them wrong")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", type=int, default=200)
    parser.add_argument("--listed", type=int, default=10_000)
    parser.add_argument("--folder", type=Path, help="where the libraries are made; a temporary folder by default")
    parser.add_argument("--race", action="store_true")
    parser.add_argument("--kills", type=int)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=given.folder) as temporary:
        if given.race:
            race(Path(temporary))
        elif given.kills is not None:
            kills(given.kills, Path(temporary))
        else:
            cost(given.models, given.listed, Path(temporary))
