"""Project files: workflows, issue forms, task runner, and the tiers of the tests."""

from __future__ import annotations

import os
import re
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml  # type: ignore[import-untyped]

ROOT = Path(__file__).parents[1]
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
FORMS = sorted((ROOT / ".github" / "ISSUE_TEMPLATE").glob("*.yml"))
SCRIPTS = sorted([*(ROOT / "bin").iterdir(), ROOT / ".ci" / "run"])
TIERS = {"unit", "services", "acceptance", "faults"}
PYTHONS = ["3.11", "3.12", "3.13", "3.14"]


def load(file: Path) -> dict[Any, Any]:
    """Return the content of a YAML file."""
    content: dict[Any, Any] = yaml.safe_load(file.read_text("utf-8"))
    return content


def steps(workflow: Path) -> list[dict[str, Any]]:
    """Return the steps of all jobs of a workflow."""
    return [step for job in load(workflow)["jobs"].values() for step in job["steps"]]


@pytest.mark.parametrize("workflow", WORKFLOWS, ids=lambda file: file.stem)
def test_actions_are_pinned_by_major_version(workflow: Path) -> None:
    """Each action of a workflow is pinned by a tag of its major version."""
    used = [step["uses"] for step in steps(workflow) if "uses" in step]
    unpinned = [
        name for name in used if not re.fullmatch(r"[\w-]+/[\w-]+@(v\d+|release/v\d+)", name)
    ]

    assert used
    assert [] == unpinned


@pytest.mark.parametrize("workflow", WORKFLOWS, ids=lambda file: file.stem)
def test_workflow_commands_exist(workflow: Path) -> None:
    """Each script, lock file and Dockerfile that a workflow names is in the repository."""
    text = workflow.read_text("utf-8")
    named = re.findall(
        r"(?:\.ci/run|bin/\w+|requirements/\w+\.txt|Dockerfile|pyproject\.toml)", text
    )
    scripts = {name for name in named if name.startswith(("bin/", ".ci/"))}

    assert named
    assert [] == [name for name in named if not (ROOT / name).is_file()]
    assert [] == [name for name in scripts if not os.access(ROOT / name, os.X_OK)]


@pytest.mark.parametrize("workflow", WORKFLOWS, ids=lambda file: file.stem)
def test_workflows_have_least_permissions(workflow: Path) -> None:
    """A workflow may only read, unless one of its jobs asks for more."""
    assert {"contents": "read"} == load(workflow)["permissions"]


def test_workflow_covers_the_supported_versions() -> None:
    """The quick tests run on each supported Python, on x86-64 and arm64."""
    matrix = load(ROOT / ".github/workflows/tests.yml")["jobs"]["test"]["strategy"]["matrix"]
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]

    assert PYTHONS == matrix["python"]
    assert ["ubuntu-24.04", "ubuntu-24.04-arm"] == matrix["os"]
    assert f">={PYTHONS[0]}" == project["requires-python"]


def test_changelog_starts_with_the_version() -> None:
    """The newest section of the changelog is the version in pyproject.toml."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    sections = re.findall(
        r"^## \[?([^]\s]+)", (ROOT / "CHANGELOG.md").read_text("utf-8"), re.MULTILINE
    )

    assert project["version"] == next(name for name in sections if name != "Unreleased")


def test_release_of_another_version_is_refused() -> None:
    """The release workflow begins with a script, which refuses a tag of another version."""
    release = load(ROOT / ".github/workflows/release.yml")["jobs"]["build"]["steps"]
    done = subprocess.run(
        [ROOT / "bin" / "release", "v0.0.0"], capture_output=True, text=True, check=False
    )

    assert 'bin/release "$GITHUB_REF_NAME"' in [step.get("run") for step in release]
    assert 1 == done.returncode
    assert done.stderr.startswith("scanner: invalid tag 'v0.0.0': expected v")


@pytest.mark.parametrize("form", FORMS, ids=lambda file: file.stem)
def test_issue_forms_ask_for_the_doctor(form: Path) -> None:
    """Each issue form has a title and asks for the output of `scanner doctor --json`."""
    content = load(form)
    if form.stem == "config":
        assert content == {"blank_issues_enabled": False}
        return
    identifiers = [field["id"] for field in content["body"] if field["type"] != "markdown"]

    assert {"name", "description", "body"} <= content.keys()
    assert len(set(identifiers)) == len(identifiers)
    assert "scanner doctor --json" in str(content["body"])


def test_pre_commit_hooks_are_those_of_the_linters() -> None:
    """The local hooks before a commit are tools that bin/lint runs too."""
    hooks = load(ROOT / ".pre-commit-config.yaml")["repos"][-1]["hooks"]
    lint = (ROOT / "bin" / "lint").read_text("utf-8")

    assert ["ruff", "ruff-format", "mypy", "codespell"] == [hook["id"] for hook in hooks]
    for hook in hooks:
        command = hook["entry"].removeprefix(".venv-test/bin/").split(" --")[0].split()

        assert f'"$environment/{command[0]}" {" ".join(command[1:])}'.strip() in lint


@pytest.mark.parametrize(
    "script",
    [
        "bin/audit",
        "bin/container",
        "bin/docs",
        "bin/environment.sh",
        "bin/lint",
        "bin/lock",
        "bin/scan",
        "bin/scanner",
    ],
)
def test_shell_scripts_parse(script: str) -> None:
    """The shell scripts have no syntax errors."""
    done = subprocess.run(["sh", "-n", ROOT / script], capture_output=True, check=False)

    assert (0, b"") == (done.returncode, done.stderr)


def test_every_test_has_one_tier(request: pytest.FixtureRequest) -> None:
    """Each collected test is marked with exactly one tier."""
    tiers = [
        [mark.name for mark in item.iter_markers() if mark.name in TIERS]
        for item in request.session.items
    ]

    assert {1} == {len(names) for names in tiers}
