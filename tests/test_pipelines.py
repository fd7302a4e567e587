"""What other people's pipelines run: the container, the action, the hook. Each is tested by running what it runs."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import sysconfig
from pathlib import Path
from typing import Any

import pytest
import yaml
from command_line import kinprint

ROOT = Path(__file__).parents[1]
MODELS = ROOT / "examples" / "models"


def shell(script: str, folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["bash", "-c", script], cwd=folder, env={**os.environ, **environment}, text=True, capture_output=True, check=False
    )


def instructions() -> list[tuple[str, str]]:
    lines = (ROOT / "Dockerfile").read_text().splitlines()
    return [(word, rest) for word, _, rest in (line.partition(" ") for line in lines) if word and word != "#"]


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of programs with a kinprint from the Dockerfile's own lines: a wheel of the files that it copies, installed
    without what it depends on, which this environment has."""
    folder = tmp_path_factory.mktemp("image")
    build, wheels, target = folder / "build", folder / "wheels", folder / "root"
    build.mkdir()
    runs = [rest for word, rest in instructions() if word == "RUN"]
    for word, rest in instructions():
        if word == "COPY" and not rest.startswith("--from"):
            *sources, _ = rest.split()
            for source in sources:
                subprocess.run(["cp", "-r", str(ROOT / source), str(build / source)], check=True)
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(target)], check=True)
    pip = f"{sys.executable} -m pip --python {target}/bin/python --disable-pip-version-check"
    for run in runs[:2]:
        script = (
            run.replace("/wheels", str(wheels)).replace("pip install", "pip install --no-deps").replace("pip ", f"{pip} ", 1)
        )
        done = shell(script, build)
        assert done.returncode == 0, done.stderr
    assert not wheels.exists()
    return target / "bin"


def test_the_image_has_all_that_kinprint_needs(installed: Path, tmp_path: Path) -> None:
    """Every file of the package is in the wheel, and what is installed runs."""
    (entry,) = (json.loads(rest) for word, rest in instructions() if word == "ENTRYPOINT")
    found = {"PYTHONPATH": sysconfig.get_path("purelib"), "PATH": f"{installed}:{os.environ['PATH']}"}
    script = f"{entry[0]} inspect {MODELS}/base && python -c 'import kinprint; print(kinprint.__path__[0])'"
    done = shell(script, tmp_path, **found)
    assert done.returncode == 0, done.stderr
    package = Path(done.stdout.splitlines()[-1])
    assert package.is_relative_to(installed.parent)
    assert files(ROOT / "src" / "kinprint") <= files(package)


def files(package: Path) -> set[str]:
    paths = (path.relative_to(package) for path in package.rglob("*") if path.is_file())
    return {str(path) for path in paths if "__pycache__" not in path.parts}


def test_the_image_runs_without_rights_and_keeps_its_results() -> None:
    stated = instructions()
    assert ("USER", "kinprint") in stated
    cache = next(re.search(r"KINPRINT_CACHE=(\S+)", rest)[1] for word, rest in stated if word == "ENV")  # type: ignore[index]
    assert ("VOLUME", cache) in stated


def action() -> dict[str, Any]:
    return yaml.safe_load((ROOT / "action.yml").read_text())  # type: ignore[no-any-return]


def examined(arguments: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """The action's last step, with its inputs where the host puts them."""
    programs = folder / "kinprint" / "bin"
    programs.mkdir(parents=True, exist_ok=True)
    if not (programs / "kinprint").exists():
        (programs / "kinprint").symlink_to(Path(sys.executable).parent / "kinprint")
    given = {"arguments": arguments, "accepted": "", "sarif": str(folder / "kinprint.sarif")}
    step = action()["runs"]["steps"][-1]
    environment = {name: given[re.fullmatch(r"\$\{\{ inputs\.(\w+) \}\}", text)[1]] for name, text in step["env"].items()}  # type: ignore[index]
    places = {"RUNNER_TEMP": str(folder), "GITHUB_STEP_SUMMARY": str(folder / "summary.md")}
    return shell(step["run"], MODELS, **environment, **places)


def test_the_action_reports_and_ends_as_the_command_does(tmp_path: Path) -> None:
    done = examined("compare base 'finetune' --fail-on related", tmp_path)
    assert done.returncode == 3
    (result,) = json.loads((tmp_path / "kinprint.sarif").read_text())["runs"][0]["results"]
    assert result["kind"] == "review"
    assert "| finetune | base | related |" in (tmp_path / "summary.md").read_text()


def test_the_action_takes_no_input_for_a_command(tmp_path: Path) -> None:
    done = examined("compare base $(touch${IFS}run) ; touch run", tmp_path)
    assert done.returncode == 2
    assert not (MODELS / "run").exists()
    for step in action()["runs"]["steps"]:
        assert "${{" not in step["run"]


def test_the_hook_finds_a_card_that_no_longer_says_what_the_weights_say(tmp_path: Path) -> None:
    (hook,) = yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text())
    model = tmp_path / "model"
    model.mkdir()
    for file in (MODELS / "finetune").iterdir():
        (model / file.name).write_bytes(file.read_bytes())
        assert re.search(hook["files"], file.name) or "token" in file.name
    words = [*hook["entry"].split()[1:], *hook["args"], "--models", MODELS]
    assert kinprint(*words, folder=model).returncode == 0
    card = (model / "README.md").read_text()
    (model / "README.md").write_text(re.sub(r"(base_model:\s*)\S+", r"\1twin", card))
    done = kinprint(*words, folder=model)
    assert done.returncode == 3, done.stdout
