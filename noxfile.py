"""Run the project's tasks: `nox --list` shows them, `nox` runs the quick tests and the linters."""

from __future__ import annotations

import nox

nox.options.sessions = ["test", "lint"]
# The scripts in bin/ install the locked dependencies into environments of their own.
nox.options.default_venv_backend = "none"


@nox.session
def test(session: nox.Session) -> None:
    """Run the unit and service tests, or what the given pytest arguments select."""
    session.run("bin/test", *session.posargs, external=True)


@nox.session(name="test-all")
def test_all(session: nox.Session) -> None:
    """Run everything that has to pass before a change lands."""
    session.run(".ci/run", external=True)


@nox.session
def faults(session: nox.Session) -> None:
    """Break what a scan depends on, and check that nothing is lost."""
    session.run("bin/test", "--faults", *session.posargs, external=True)


@nox.session
def lint(session: nox.Session) -> None:
    """Check style, types, import contracts and spelling."""
    session.run("bin/lint", external=True)


@nox.session
def docs(session: nox.Session) -> None:
    """Build the documentation site in site/; broken links fail the build."""
    session.run("bin/docs", *session.posargs, external=True)
