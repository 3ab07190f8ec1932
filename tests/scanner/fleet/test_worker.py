"""Tests of what a worker does before Celery handles its signals."""

from __future__ import annotations

import signal

import pytest
from celery.worker import state

from scanner.fleet.worker import _early_signals


@pytest.mark.parametrize(
    ("sent", "raised"), [(signal.SIGTERM, SystemExit), (signal.SIGINT, KeyboardInterrupt)]
)
def test_early_signals(
    monkeypatch: pytest.MonkeyPatch, sent: signal.Signals, raised: type[BaseException]
) -> None:
    """A signal ends the worker, and Celery is told in case Python drops the exception."""
    monkeypatch.setattr(state, "should_stop", None)
    before = signal.getsignal(sent)
    with pytest.raises(raised), _early_signals() as received:
        signal.raise_signal(sent)

    assert ({sent}, 0) == (received, state.should_stop)
    assert before is signal.getsignal(sent)
