"""The docs are true: every command in them runs, the command reference is what `--help` says."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
from pathlib import Path

import click
import pytest

from scanner.cli import COMMANDS, cli
from scanner.options.scan_request import plan_for
from scanner.report.figures.error_rates import card_rates
from scanner.report.text.card import rows_of
from workers.detectors import installed

ROOT = Path(__file__).parent.parent
PAGES = sorted([ROOT / "README.md", *(ROOT / "docs").rglob("*.md")])
GENERATED = ROOT / "docs" / "reference" / "cli.md"
DETECTORS = ROOT / "docs" / "reference" / "detectors.md"

# Commands that no test of a laptop or of CI can run, each with why.
NOT_RUN = {
    r"bin/test|\.ci/run": "is what runs this test",
    r"bin/picture": "is no command of the product's, and changes the docs",
    r"bin/scan ~/Pictures": "test_first_command.py runs it in a clone of its own",
    r"pipx? install|venv ~/scanner": "changes the user's home; these tests run on the wheel",
    r"docker ": "needs a Docker engine; test_compose.py checks the files",
    r"pip download": "asks the package index",
    r"scanner train": "takes an hour; tests/workers/training trains on a few images",
    r"--runtime tensorflow": "is slow to start; tests/workers/detectors/test_graph.py runs it",
    r"scanner bench (--make|nets)": "takes minutes; test_bench_nets.py makes a smaller one",
    r"scanner detectors get": "fetches 75 MB; test_public.py fetches from mirrors",
    r"--webhook": "needs a receiver; tests/scanner/test_webhook.py has one",
    r"datasette|polars": "too large for the development environment",
    r"bin/lock": "asks the package index for newer versions",
}

# What stands in the docs for what a test has.
STANDS_FOR = {
    "redis://:secret@laptop:6379/0": "$TEST_BROKER",
    "postgresql://scanner:secret@laptop/scanner": "$TEST_STORE",
    "/mnt/nas/photos": "$PWD/photos",
    "/photos": "$PWD/photos",
    "192.168.1.5": "127.0.0.1:$TEST_PORT",
}


def commands(page: Path) -> list[str]:
    """The lines of a page's `sh` blocks, those joined that end in a backslash."""
    blocks = re.findall(r"```sh\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL)
    lines = "".join(blocks).replace("\\\n", " ").splitlines()
    return [line.strip() for line in lines if line.strip() and not line.startswith("#")]


def runnable(line: str) -> str | None:
    """The line as the test runs it; None where it cannot be run."""
    if any(re.search(pattern, line) for pattern in NOT_RUN):
        return None
    for written, meant in STANDS_FOR.items():
        line = re.sub(rf"(?<![\w$/]){re.escape(written)}(?![\w/])", meant, line)
    # A hub runs beside what follows; the port of the pages may be taken by another's.
    line = re.sub(r"^(scanner hub .*)$", r"\1 & sleep 5", line)
    line = re.sub(r"^scanner serve", "scanner serve --port 0", line)
    # A worker works until it is stopped, and so do they.
    return re.sub(
        r"^scanner (worker|serve)", r"timeout --preserve-status -s TERM 8 scanner \1", line
    )


# What the reader of a page has done before he comes to it.
SMALL = ROOT / "tests" / "workers" / "detectors" / "models" / "small.tflite"
BEFORE = {
    name: ["scanner scan photos"]
    for name in ("recover.md", "report.md", "analyse.md", "automate.md", "web.md")
} | {
    "own-detectors.md": [f"cp {SMALL} net.tflite"],
    "docker.md": ["touch line"],
}

PAGES_WITH_COMMANDS = [page for page in PAGES if any(map(runnable, commands(page)))]


def free_port() -> int:
    """A port that nobody has."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.mark.parametrize(
    "page", PAGES_WITH_COMMANDS, ids=[str(page.relative_to(ROOT)) for page in PAGES_WITH_COMMANDS]
)
def test_commands_run(
    page: Path, tmp_path: Path, test_data: Path, clean_redis: str, postgres_url: str
) -> None:
    """Every command of the page ends with 0, or 3 where samples that cannot be read are scanned."""
    for folder in ("photos", "labelled/FAKE", "labelled/REAL"):
        subprocess.run(
            [sys.executable, "-m", "scanner.listing.sample_images", tmp_path / folder], check=True
        )
    (tmp_path / "labels.csv").write_text("path,label\nFAKE/tiny/1.png,ai\n", encoding="utf-8")
    env = os.environ | {
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "SCANNER_TEST_DATA": str(test_data),
        "TEST_BROKER": clean_redis,
        "TEST_STORE": postgres_url,
        "TEST_PORT": str(free_port()),
    }
    lines = [line for line in map(runnable, commands(page)) if line is not None]
    lines = ["trap 'kill $(jobs -p)' EXIT", *BEFORE.get(page.name, ()), *lines]
    script = "\n".join(
        f"{line}\ncode=$?; [ $code = 0 ] || [ $code = 3 ] || exit 1" for line in lines
    )
    done = subprocess.run(
        ["bash", "-c", script],
        cwd=tmp_path,
        env=env,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=250,
        check=False,
    )

    assert 0 == done.returncode, done.stdout + done.stderr


def test_no_reason_is_left_over() -> None:
    """Each reason not to run a command is the reason of some command in the docs."""
    lines = [line for page in PAGES for line in commands(page)]
    unused = [one for one in NOT_RUN if not any(re.search(one, line) for line in lines)]

    assert [] == unused


def help_of(name: str, command: click.Command) -> str:
    """A command's help, and that of its subcommands."""
    # A command keeps the help option that it was first asked for, be it by another test.
    command._help_option = None
    context = click.Context(
        command,
        info_name=name,
        terminal_width=80,
        max_content_width=80,
        # As a parent's context would hand them down; click remembers what it made of them first.
        help_option_names=["-h", "--help"],
    )
    text = f"## {name}\n\n```text\n{command.get_help(context).strip()}\n```\n"
    if isinstance(command, click.Group):
        for inner in sorted(command.list_commands(context)):
            subcommand = command.get_command(context, inner)
            assert subcommand is not None
            text += "\n" + help_of(f"{name} {inner}", subcommand)
    return text


def reference() -> str:
    """The page docs/reference/cli.md as it has to be."""
    text = "# Commands\n\nMade from the commands' own help by `tests/test_docs.py`.\n"
    context = click.Context(cli, info_name="scanner")
    for name in COMMANDS:
        command = cli.get_command(context, name)
        assert command is not None
        text += "\n" + help_of(f"scanner {name}", command)
    return "\n".join(line.rstrip() for line in text.splitlines()) + "\n"


def test_command_reference() -> None:
    """The reference is the commands' own help; `UPDATE_DOCS=1` writes it."""
    if os.environ.get("UPDATE_DOCS"):
        GENERATED.write_text(reference(), encoding="utf-8")

    assert reference() == GENERATED.read_text(encoding="utf-8")


def detectors() -> str:
    """The page docs/reference/detectors.md as it has to be."""
    text = "# Detectors\n\nMade from the detectors' cards by `tests/test_docs.py`.\n"
    for name, card in installed.installed().items():
        text += f"\n## {name}\n\n| | |\n|---|---|\n"
        text += "".join(f"| {what} | {said} |\n" for what, said in rows_of(card))
    return text


def test_detector_reference() -> None:
    """The page on detectors is their cards; `UPDATE_DOCS=1` writes it."""
    if os.environ.get("UPDATE_DOCS"):
        DETECTORS.write_text(detectors(), encoding="utf-8")

    assert detectors() == DETECTORS.read_text(encoding="utf-8")


def test_the_readme_has_the_cards_figure() -> None:
    """The accuracy that the README states is the measured one."""
    measured = installed.installed()["objects-32"].measured

    assert measured is not None
    assert f"accuracy {measured.accuracy:.4f} on {measured.images:,} CIFAKE" in (
        ROOT / "README.md"
    ).read_text(encoding="utf-8")


def test_links_lead_somewhere() -> None:
    """Each link to a file in this repository leads to one that is there."""
    broken = [
        f"{page.relative_to(ROOT)}: {target}"
        for page in PAGES
        for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8"))
        if not (page.parent / target).exists()
    ]

    assert [] == broken


def test_the_rates_that_the_docs_name_are_the_cards() -> None:
    """A net that is trained anew has others, and then the page has to say so."""
    page = (ROOT / "docs" / "explanation" / "corrected-share.md").read_text("utf-8")
    rates = card_rates(plan_for("objects-32").body()["detectors"][0])
    assert rates is not None

    assert f"*sensitivity* ({rates.sensitivity.value:.3f} for `objects-32`)" in page
    assert f"*false-alarm rate* ({rates.false_alarm.value:.4f})" in page
