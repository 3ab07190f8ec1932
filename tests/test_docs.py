"""Documentation: every command in it runs, and the generated reference pages are up to date."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import click
import pytest
from ports import free_port

from scanner.cli import COMMANDS, cli
from scanner.detectors.plan import plan_for
from scanner.report.figures.error_rates import measured_cards
from scanner.report.text.card import card_rows
from workers.detectors import installed

ROOT = Path(__file__).parent.parent
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
GENERATED = ROOT / "docs" / "reference" / "cli.md"
DETECTORS = ROOT / "docs" / "reference" / "detectors.md"

# Patterns of commands that the test cannot run, each with its reason.
NOT_RUN = {
    r"bin/(test|lint|docs|release)|\.ci/run|nox|pre-commit": "is a task of the repository",
    r"bin/picture|benchmarks/house\.py": "is no part of the product",
    r"bin/scan ~/Pictures|bin/scanner": "test_first_command.py runs it in a new clone",
    r"pipx? install|uv tool|uvx|venv ~/scanner": "changes the user's home; tests run on the wheel",
    r"docker ": "needs a Docker engine; test_compose.py checks the files",
    r"pip download": "downloads from the package index",
    r"scaled_photographs\.py": "needs whole photographs, which are not among the data sets",
    r"scanner train": "takes an hour; tests/workers/training trains on a few images",
    r"evaluate scenes --data labelled": "refuses damaged images; test_evaluate.py has a folder",
    r"scanner bench (--make|\w+/)": "takes minutes; test_benchmark_nets.py makes a smaller model",
    r"scanner detectors get": "fetches 75 MB; test_published.py fetches from mirrors",
    r"scanner hub revoke": "needs that machine; tests/scanner/fleet/test_members.py has one",
    r"--mail-server": "needs a mail server; tests/scanner/follow/test_mail.py has one",
    r"--webhook": "needs a receiver; tests/scanner/follow/test_webhook.py has one",
    r"datasette|polars": "is too large for the development environment",
    r"--into-files": "needs exiftool; tests/scanner/writeback has it where it is installed",
    r"bin/translations": "writes in the repository; test_translations.py checks what it wrote",
    r"scanner export (immich|photoprism)": "needs a server; tests/scanner/writeback has some",
    r"(immich|photoprism)\+http": "needs a server; test_photo_libraries.py has one",
    r"bin/lock": "asks the package index for newer versions",
}

# Values in the documentation, and what the test uses instead.
REPLACEMENTS = {
    "redis://:secret@laptop:6379/0": "$TEST_BROKER",
    "postgresql://scanner:secret@laptop/scanner": "$TEST_STORE",
    "~/datasets": "$SCANNER_TEST_DATA",
    "/mnt/nas/photos": "$PWD/photos",
    "/photos": "$PWD/photos",
    "192.168.1.5": "127.0.0.1:$TEST_PORT",
}


STOP_LATER = Path(__file__).with_name("support") / "stop_later.py"
UNTIL_WRITTEN = r"for _ in $(seq 600); do [ -s \2 ] && break; sleep 0.1; done"


def commands(page: Path) -> list[str]:
    """Return the commands in a page's `sh` blocks, with continued lines joined."""
    blocks = re.findall(r"```sh\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL)
    lines = "".join(blocks).replace("\\\n", " ").splitlines()
    return [line.strip() for line in lines if line.strip() and not line.startswith("#")]


def runnable(line: str) -> str | None:
    """Return the line as the test runs it, or None if it cannot be run."""
    if any(re.search(pattern, line) for pattern in NOT_RUN):
        return None
    for documented, used in REPLACEMENTS.items():
        line = re.sub(rf"(?<![\w$/]){re.escape(documented)}(?![\w/])", used, line)
    # A hub runs in the background; the default port of `serve` may be in use.
    line = re.sub(r"^(scanner hub --listen .* --write-line (\w+))$", rf"\1 & {UNTIL_WRITTEN}", line)
    # The machine that joins is another one.
    line = re.sub(r"^scanner join", "XDG_CONFIG_HOME=$PWD/pi XDG_STATE_HOME=$PWD/pi \\g<0>", line)
    line = re.sub(r"^scanner serve", "scanner serve --port 0", line)
    line = re.sub(r"^scanner bench$", "scanner bench --seconds 0.5", line)
    # Workers and servers run until they are stopped; one with a name has to be known by it.
    seconds = 20 if "--name" in line else 6
    return re.sub(
        r"^scanner (worker|serve|watch)(?!.* --(?:install|uninstall|print-unit))",
        rf"python {STOP_LATER} {seconds} scanner \1",
        line,
    )


# What readers of a page have done before.
SMALL = ROOT / "tests" / "workers" / "detectors" / "models" / "small.tflite"
SETUP = {
    name: ["scanner scan photos"]
    for name in (
        "recover.md",
        "report.md",
        "analyse.md",
        "automate.md",
        "web.md",
        "photo-libraries.md",
    )
} | {
    "own-detectors.md": [
        f"cp {SMALL} net.tflite",
        (
            "python -c 'from workers.provenance import trust_lists; "
            "print(trust_lists.load().authorities)' > C2PA-TRUST-LIST.pem"
        ),
    ],
}


def pages_to_run() -> list[Path]:
    """Return the pages with commands that the test runs, but for those that repeat another's."""
    found = {page: {line for line in map(runnable, commands(page)) if line} for page in PAGES}
    return [
        page
        for page, lines in found.items()
        if lines and not any(lines < others for others in found.values())
    ]


PAGES_TO_RUN = pages_to_run()


@pytest.fixture
def working_folder(drawn_samples: Path, tmp_path: Path) -> Path:
    """Return a folder with the images and labels that the documentation mentions."""
    for folder in ("photos", "labelled/FAKE", "labelled/REAL"):
        shutil.copytree(drawn_samples, tmp_path / folder)
    (tmp_path / "labels.csv").write_text("path,label\nFAKE/tiny/1.png,ai\n", encoding="utf-8")
    return tmp_path


@pytest.mark.timeout(550)
@pytest.mark.parametrize(
    "page", PAGES_TO_RUN, ids=[str(page.relative_to(ROOT)) for page in PAGES_TO_RUN]
)
def test_commands_run(
    page: Path, working_folder: Path, test_data: Path, clean_redis: str, postgres_url: str
) -> None:
    """Every command of the page exits with 0, or with 3 if it scans unreadable samples."""
    env = os.environ | {
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "SCANNER_TEST_DATA": str(test_data),
        "TEST_BROKER": clean_redis,
        "TEST_STORE": postgres_url,
        "TEST_PORT": str(free_port()),
    }
    lines = [line for line in map(runnable, commands(page)) if line is not None]
    lines = ["trap 'kill $(jobs -p)' EXIT", *SETUP.get(page.name, ()), *lines]
    script = "\n".join(
        f"{line}\ncode=$?; [ $code = 0 ] || [ $code = 3 ] || exit 1" for line in lines
    )
    done = subprocess.run(
        ["bash", "-c", script],
        cwd=working_folder,
        env=env,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=500,
        check=False,
    )

    assert 0 == done.returncode, done.stdout + done.stderr


def test_every_exception_is_used() -> None:
    """Each pattern in NOT_RUN matches a command in the documentation."""
    lines = [line for page in PAGES for line in commands(page)]
    unused = [pattern for pattern in NOT_RUN if not any(re.search(pattern, line) for line in lines)]

    assert [] == unused


def help_of(name: str, command: click.Command) -> str:
    """Return the help of a command and of its subcommands."""
    # Click caches the help option of the first call, which may be another test's.
    command._help_option = None
    context = click.Context(
        command,
        info_name=name,
        terminal_width=80,
        max_content_width=80,
        # A parent context would pass them on.
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
    """Return the expected text of docs/reference/cli.md."""
    text = "# Commands\n\nMade from the commands' own help by `tests/test_docs.py`.\n"
    context = click.Context(cli, info_name="scanner")
    for name in COMMANDS:
        command = cli.get_command(context, name)
        assert command is not None
        text += "\n" + help_of(f"scanner {name}", command)
    return "\n".join(line.rstrip() for line in text.splitlines()) + "\n"


def test_command_reference() -> None:
    """The command reference equals the commands' help; `UPDATE_DOCS=1` writes it."""
    if os.environ.get("UPDATE_DOCS"):
        GENERATED.write_text(reference(), encoding="utf-8")

    assert reference() == GENERATED.read_text(encoding="utf-8")


def detectors() -> str:
    """Return the expected text of docs/reference/detectors.md."""
    text = "# Detectors\n\nMade from the detectors' cards by `tests/test_docs.py`.\n"
    for name, card in installed.installed().items():
        text += f"\n## {name}\n\n| | |\n|---|---|\n"
        text += "".join(f"| {label} | {value} |\n" for label, value in card_rows(card))
    return text


def test_detector_reference() -> None:
    """The detector reference equals the detectors' cards; `UPDATE_DOCS=1` writes it."""
    if os.environ.get("UPDATE_DOCS"):
        DETECTORS.write_text(detectors(), encoding="utf-8")

    assert detectors() == DETECTORS.read_text(encoding="utf-8")


def test_readme_states_the_measured_accuracy() -> None:
    """The README states the accuracy that is on the detector's card."""
    measured = installed.installed()["objects-32"].measured

    assert measured is not None
    assert f"accuracy {measured.accuracy:.4f} on {measured.images:,} CIFAKE" in (
        ROOT / "README.md"
    ).read_text(encoding="utf-8")


def test_links_have_targets() -> None:
    """Each link to a file of this repository has an existing target."""
    broken = [
        f"{page.relative_to(ROOT)}: {target}"
        for page in PAGES
        for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8"))
        if not (page.parent / target).exists()
    ]

    assert [] == broken


def test_documented_files_exist() -> None:
    """Each file or folder of the repository that a page names in backticks exists."""
    named = {
        (page.relative_to(ROOT).as_posix(), path)
        for page in PAGES
        for path in re.findall(
            r"`((?:scanner|workers|storage|tests|benchmarks|bin|docs|requirements)/[\w./-]+)`",
            page.read_text(encoding="utf-8"),
        )
    }

    assert [] == sorted((page, path) for page, path in named if not (ROOT / path).exists())


def test_documented_rates_are_those_of_the_card() -> None:
    """The explanation of the estimate states the error rates on the card of `objects-32`."""
    page = (ROOT / "docs" / "explanation" / "corrected-share.md").read_text("utf-8")
    card = measured_cards(plan_for("objects-32"))["objects-32"]
    assert card.measured is not None

    assert f"*sensitivity* ({card.measured.recall_at_ai:.3f} for `objects-32`)" in page
    assert f"*false-positive rate* ({card.measured.false_alarms_at_ai:.4f})" in page
