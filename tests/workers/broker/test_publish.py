"""Messages as they are in Redis."""

from __future__ import annotations

import json
from typing import Any

from storage.records import BatchImage, Plan
from workers.broker.app import make_app, make_namespace
from workers.broker.batch_message import BatchMessage, sign_batch
from workers.broker.publish import send_batch

IMAGES = tuple(BatchImage(number, b"holiday/%d.jpg" % number, 1) for number in range(500))
MESSAGE = BatchMessage(1, 2, 1, "photos", Plan(()), IMAGES)


def test_paths_are_in_the_compressed_body_only(clean_redis: str) -> None:
    """Nothing of a batch is in the headers, which are not compressed and would fill Redis."""
    app = make_app(clean_redis, "s1")
    send_batch(app, sign_batch(MESSAGE, "s1", bytes(32)))
    namespace = make_namespace(clean_redis, "s1")
    raw: Any = namespace.client.rpop(namespace.queue)
    envelope = json.loads(raw)
    body = envelope.pop("body")
    around = json.dumps(envelope)

    assert "holiday" not in around
    assert len(around) < 1_000
    assert 0 < len(body) < 8_000
