"""The locks pin everything, name nobody's registry, and agree with what is asked for."""

import json
import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


@pytest.mark.parametrize("name", ["requirements.lock", "requirements-dev.lock"])
def test_a_lock_pins_everything_and_names_no_address(name: str):
    """Exact versions only, from whatever package index the machine is set up with."""
    lines = [
        line
        for line in (ROOT / name).read_text("utf-8").splitlines()
        if line.strip() and not line.lstrip().startswith("#")
    ]
    pin = re.compile(r"[A-Za-z0-9._-]+(\[[a-z0-9,-]+\])?==[^\s;]+( ; .+)?$")

    assert [line for line in lines if not pin.match(line)] == []
    assert "torch==2.13.0" in lines


def test_the_emulators_lock_pins_everything_and_names_no_registry():
    """Exact versions with checksums, from whatever registry the machine is set up with."""
    folder = ROOT / "tests/emulators"
    wanted = json.loads((folder / "package.json").read_text("utf-8"))["dependencies"]
    lock = json.loads((folder / "package-lock.json").read_text("utf-8"))["packages"]
    packages = {path: package for path, package in lock.items() if path}

    assert {name: lock[f"node_modules/{name}"]["version"] for name in wanted} == wanted
    assert [path for path, package in packages.items() if "integrity" not in package] == []
    assert [path for path, package in packages.items() if "resolved" in package] == []


def test_the_two_locks_agree():
    """What is tested is what is run: the development lock only adds to the other one."""
    run, dev = (
        set((ROOT / name).read_text("utf-8").splitlines())
        for name in ("requirements.lock", "requirements-dev.lock")
    )
    missing = {line for line in run - dev if not line.startswith("#")}

    assert missing == set()


def test_every_dependency_is_locked():
    """pyproject.toml names nothing that the lock lacks."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    locked = (ROOT / "requirements.lock").read_text("utf-8").lower()
    wanted = [re.split(r"[\[<>=~!]", item)[0].lower() for item in project["dependencies"]]

    assert [name for name in wanted if f"\n{name}==" not in f"\n{locked}"] == []
