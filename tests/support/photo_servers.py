"""Small servers that answer as immich and PhotoPrism do, and keep what they are asked.

A request of another form than the published descriptions of the APIs have is answered with 400, so
that no test passes on one. Paths, methods and fields follow those descriptions.
"""

# ruff: noqa: ANN401 -- JSON
# ruff: noqa: C901, PLR0911, PLR0912 -- the routes of an API, each with its answer

from __future__ import annotations

import base64
import hashlib
import json
import re
import threading
import uuid
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlsplit

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Iterator
    from pathlib import Path

KEY = "key-of-the-test"


class Refused(Exception):
    """A request is answered with this status."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


@dataclass
class PhotoServer:
    """What a library holds: assets by id, keywords and albums with the ids of theirs."""

    assets: dict[str, dict[str, Any]] = field(default_factory=dict)
    keywords: dict[str, set[str]] = field(default_factory=dict)
    albums: dict[str, set[str]] = field(default_factory=dict)
    ids: dict[str, str] = field(default_factory=dict)
    # Method and path of each request that was answered.
    requests: list[tuple[str, str]] = field(default_factory=list)
    # Statuses with which the next requests are refused, whatever they ask.
    refusals: list[int] = field(default_factory=list)
    # Requests that change something are refused with 500 after so many.
    changes_left: int = 1_000_000
    # Ids of albums by name that others share with the user of the key, who only views them.
    shared: dict[str, str] = field(default_factory=dict)
    # immich's; 2 stands for 1.133 to 2.
    version: int = 3
    # PhotoPrism's token for downloads.
    token: str = "4fxq1dkr"
    url: str = ""

    def add(self, file: Path, **fields: Any) -> str:
        """Add a file to the library; return its id."""
        asset_id = str(uuid.uuid4())
        data = file.read_bytes()
        sha1 = hashlib.sha1(data).digest()
        own = {"id": asset_id, "name": file.name, "sha1": sha1, "size": len(data), "data": data}
        self.assets[asset_id] = own | fields
        return asset_id

    def of(self, keyword: str) -> set[str]:
        """Return the names of the assets that have a keyword."""
        return {self.assets[one]["name"] for one in self.keywords.get(keyword, ())}

    def in_album(self, album: str) -> set[str]:
        """Return the names of the assets of an album."""
        return {self.assets[one]["name"] for one in self.albums.get(album, ())}

    def changes(self) -> int:
        """Return how many requests changed, or could change something."""
        searches = ("/search/", "/bulk-upload-check")
        return sum(
            method != "GET" and not any(search in path for search in searches)
            for method, path in self.requests
        )

    def named(self, number: str) -> str:
        """Return the name of a keyword or an album by its id."""
        return next(name for name, one in self.ids.items() if one == number)

    def id_of(self, name: str, number: str) -> str:
        """Return the id of a keyword or an album, which is made."""
        return self.ids.setdefault(name, number)


def immich(state: PhotoServer, method: str, path: str, query: Any, body: Any) -> Any:
    """Answer as immich does."""
    match = re.fullmatch(r"/api/(tags|albums)/([0-9a-f-]{36})/assets", path)
    if match and method in ("PUT", "DELETE"):
        form(body, ids=[str])
        if match[2] in state.shared.values():
            raise Refused(400, "Not found or no albumAsset.create access")
        kept = state.keywords if match[1] == "tags" else state.albums
        return [
            _immich_bulk(state, kept[state.named(match[2])], one, add=method == "PUT")
            for one in body["ids"]
        ]
    match (method, path):
        case ("POST", "/api/assets/bulk-upload-check"):
            form(body, assets=[dict])
            for one in body["assets"]:
                form(one, id=str, checksum=str)
            return {"results": [_immich_check(state, one) for one in body["assets"]]}
        case ("POST", "/api/search/metadata"):
            return _immich_search(state, body)
        case ("GET", _) if match := re.fullmatch(r"/api/assets/([0-9a-f-]{36})/original", path):
            asset = state.assets.get(match[1])
            if asset is None or asset.get("trashed"):
                raise Refused(400, "Not found or no asset.download access")
            return asset["data"]
        case ("GET", "/api/tags"):
            return [_immich_tag(state, value) for value in state.keywords]
        case ("PUT", "/api/tags"):
            form(body, tags=[str])
            for value in body["tags"]:
                state.keywords.setdefault(value, set())
            return [_immich_tag(state, value) for value in body["tags"]]
        case ("GET", "/api/albums"):
            # Version 2 knows no such word, and lists no album of another user's.
            only_own = state.version == 2 or query == {"isOwned": "true"}
            others = {} if only_own else state.shared
            return [
                *({"id": number, "albumName": name} for name, number in others.items()),
                *(_immich_album(state, name) for name in state.albums),
            ]
        case ("POST", "/api/albums"):
            form(body, albumName=str, assetIds=[str])
            state.albums[body["albumName"]] = set(body["assetIds"])
            return _immich_album(state, body["albumName"])
    raise Refused(404, f"Cannot {method} {path}")


def _immich_check(state: PhotoServer, one: dict[str, Any]) -> dict[str, Any]:
    for asset_id, asset in state.assets.items():
        if asset["sha1"].hex() == one["checksum"] and "path" not in asset:
            trashed = asset.get("trashed", False)
            return {
                "id": one["id"],
                "action": "reject",
                "reason": "duplicate",
                "assetId": asset_id,
                "isTrashed": trashed,
            }
    return {"id": one["id"], "action": "accept"}


def _immich_search(state: PhotoServer, body: Any) -> dict[str, Any]:
    conditions: dict[str, Any] = {
        "tagIds": [str],
        "originalFileName": str,
        "albumIds": [str],
        "visibility": str,
        "type": str,
    }
    chosen = {name: kind for name, kind in conditions.items() if name in body}
    form(body, page=int, size=int, withExif=bool, **chosen)
    where = _immich_where(state, body)
    if "locked" in where:
        raise Refused(403, "Elevated permission is required")
    found = [
        asset
        for asset_id, asset in state.assets.items()
        if not asset.get("trashed")
        and asset.get("type", "IMAGE") == body.get("type", "IMAGE")
        and asset["name"] == body.get("originalFileName", asset["name"])
        and asset.get("visibility", "timeline") in where
        and all(asset_id in state.keywords[state.named(tag)] for tag in body.get("tagIds", ()))
        and all(asset_id in state.albums[state.named(one)] for one in body.get("albumIds", ()))
    ]
    # Pages of two, whatever is asked for: the answer says which follows.
    start = 2 * (body["page"] - 1)
    has_more = len(found) > start + 2
    items = [_immich_asset(asset) for asset in found[start : start + 2]]
    following = str(body["page"] + 1) if has_more else None
    return {
        "albums": {"total": 0, "count": 0, "items": [], "facets": []},
        "assets": {
            "total": len(items),
            "count": len(items),
            "items": items,
            "facets": [],
            "nextPage": following,
        },
    }


def _immich_where(state: PhotoServer, body: Any) -> tuple[str, ...]:
    """Return the visibilities that are searched; versions differ where none is asked for."""
    if "visibility" in body:
        return (body["visibility"],)
    return ("timeline",) if state.version == 2 else ("timeline", "archive", "hidden")


def _immich_asset(asset: dict[str, Any]) -> dict[str, Any]:
    path = asset.get("path")
    # Of a file that immich only refers to, the checksum is that of its path.
    sha1 = asset["sha1"] if path is None else hashlib.sha1(f"path:{path}".encode()).digest()
    return {
        "id": asset["id"],
        "originalFileName": asset["name"],
        "originalPath": path or f"/data/library/admin/{asset['id']}",
        "libraryId": None if path is None else str(uuid.uuid4()),
        "checksum": base64.b64encode(sha1).decode(),
        "exifInfo": {"fileSizeInByte": asset["size"]},
        "type": asset.get("type", "IMAGE"),
        "visibility": asset.get("visibility", "timeline"),
        "isTrashed": False,
        "localDateTime": asset.get("taken", "2019-05-01T12:00:00.000Z"),
        "fileModifiedAt": "2019-05-01T10:00:00.123Z",
    }


def _immich_tag(state: PhotoServer, value: str) -> dict[str, str]:
    number = state.id_of(value, str(uuid.uuid4()))
    return {"id": number, "value": value, "name": value.rpartition("/")[2]}


def _immich_album(state: PhotoServer, name: str) -> dict[str, str]:
    return {"id": state.id_of(name, str(uuid.uuid4())), "albumName": name}


def _immich_bulk(state: PhotoServer, kept: set[str], one: str, *, add: bool) -> dict[str, Any]:
    if one not in state.assets or (not add and one not in kept):
        return {"id": one, "success": False, "error": "not_found"}
    if state.assets[one].get("foreign"):
        return {"id": one, "success": False, "error": "no_permission"}
    if add and one in kept:
        return {"id": one, "success": False, "error": "duplicate"}
    (kept.add if add else kept.remove)(one)
    return {"id": one, "success": True}


def photoprism(state: PhotoServer, method: str, path: str, query: Any, body: Any) -> Any:
    """Answer as PhotoPrism does."""
    if match := re.fullmatch(r"/api/v1/files/([0-9a-f]{40})", path):
        for asset_id, asset in state.assets.items():
            if asset["sha1"].hex() == match[1]:
                photo = asset.get("photo", asset_id)
                return {"UID": f"f{asset_id}", "PhotoUID": photo, "Hash": match[1]}
        raise Refused(404, "Entity not found")
    if match := re.fullmatch(r"/api/v1/photos/([^/]+)/label(?:/(\d+))?", path):
        return _photoprism_label(state, method, match, body)
    if match := re.fullmatch(r"/api/v1/albums/([^/]+)/photos", path):
        form(body, photos=[str])
        kept = state.albums[state.named(match[1])]
        if method == "POST":
            added = [one for one in body["photos"] if one not in kept]
            kept.update(added)
            return {"code": 200, "added": [{"PhotoUID": one} for one in added]}
        kept.difference_update(body["photos"])
        return {"code": 200, "removed": []}
    match (method, path):
        case ("GET", "/api/v1/labels"):
            form(query, count=str, all=str)
            return [
                {"ID": int(state.id_of(name, str(len(state.ids) + 1))), "Slug": _slug(name)}
                for name in state.keywords
            ]
        case ("GET", "/api/v1/photos"):
            return _photoprism_search(state, query)
        case ("GET", "/api/v1/config"):
            return {"downloadToken": state.token, "previewToken": "public"}
        case ("GET", _) if match := re.fullmatch(r"/api/v1/dl/([0-9a-f]{40})", path):
            if query != {"t": state.token}:
                raise Refused(403, "Permission denied")
            for asset in state.assets.values():
                if asset["sha1"].hex() == match[1]:
                    return asset["data"]
            raise Refused(404, "record not found")
        case ("GET", "/api/v1/albums"):
            form(query, count=str, type=str)
            assert "album" == query["type"]  # others are months, places and folders
            return [_photoprism_album(state, name) for name in state.albums]
        case ("POST", "/api/v1/albums"):
            form(body, Title=str)
            state.albums[body["Title"]] = set()
            return _photoprism_album(state, body["Title"])
    raise Refused(404, "Route not found")


def _photoprism_search(state: PhotoServer, query: Any) -> list[dict[str, Any]]:
    chosen = set(state.assets)
    condition = {}
    if "q" in query:
        slug = query["q"].removeprefix("label:")
        (chosen,) = (ids for name, ids in state.keywords.items() if _slug(name) == slug)
        condition = {"q": str}
    elif "s" in query:
        chosen = state.albums[state.named(query["s"])]
        condition = {"s": str}
    form(query, count=str, offset=str, order=str, merged=str, quality=str, **condition)
    assert ("added", "true", "0") == (query["order"], query["merged"], query["quality"])
    # Archived photos are found where they are asked for.
    files = [
        (photo, asset)
        for asset_id, asset in state.assets.items()
        if (photo := asset.get("photo", asset_id)) in chosen and not asset.get("trashed")
    ]
    files.sort(key=lambda one: list(state.assets).index(one[0]))
    start = int(query["offset"])
    merged: list[dict[str, Any]] = []
    for photo, asset in files[start : start + int(query["count"])]:
        if not merged or merged[-1]["UID"] != photo:
            merged.append({"UID": photo, "Merged": False, "Files": []})
        merged[-1]["Files"].append(_photoprism_file(asset, photo))
    return merged


def _photoprism_file(asset: dict[str, Any], photo: str) -> dict[str, Any]:
    return {
        "UID": f"f{asset['id']}",
        "PhotoUID": photo,
        "Name": asset.get("path", asset["name"]),
        "Root": asset.get("root", "/"),
        "Hash": asset["sha1"].hex(),
        "Size": asset["size"],
        "Primary": True,
    }


def _photoprism_label(state: PhotoServer, method: str, match: re.Match[str], body: Any) -> Any:
    if match[1] not in state.assets:
        raise Refused(404, "Entity not found")
    if method == "POST" and match[2] is None:
        form(body, Name=str, Priority=int, Uncertainty=int)
        state.keywords.setdefault(body["Name"], set()).add(match[1])
        state.id_of(body["Name"], str(len(state.ids) + 1))
        if body["Uncertainty"] <= 85:
            state.assets[match[1]]["title"] = body["Name"].title()
    elif method == "DELETE" and match[2] is not None:
        if match[1] not in (labelled := state.keywords[state.named(match[2])]):
            raise Refused(404, "record not found")
        labelled.remove(match[1])
    else:
        raise Refused(404, "Route not found")
    return {"UID": match[1]}


def _photoprism_album(state: PhotoServer, name: str) -> dict[str, str]:
    return {"UID": state.id_of(name, f"a{len(state.ids) + 1}"), "Title": name, "Type": "album"}


def _slug(name: str) -> str:
    return re.sub(r"[^a-z0-9_]+", "-", name.lower())


def form(body: Any, **fields: Any) -> None:
    """Check that a body has these fields, of these types, and no others."""
    if not isinstance(body, dict) or body.keys() != fields.keys():
        raise Refused(400, f"expected {sorted(fields)}, not {body}")
    for name, kind in fields.items():
        if isinstance(kind, list):
            valid = isinstance(body[name], list) and all(isinstance(i, kind[0]) for i in body[name])
        else:
            valid = isinstance(body[name], kind)
        if not valid:
            raise Refused(400, f"{name} must be {kind}")


@contextmanager
def serve(
    answer: Callable[..., Any], context: ssl.SSLContext | None = None
) -> Iterator[PhotoServer]:
    """Run a server in a thread; with TLS, where it has a context."""
    state = PhotoServer()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _answer(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            body = json.loads(self.rfile.read(length)) if length else None
            parts = urlsplit(self.path)
            try:
                self._refuse(parts.path)
                query = dict(parse_qsl(parts.query))
                status, said = 200, answer(state, self.command, parts.path, query, body)
            except Refused as error:
                status, said = error.status, {"message": str(error)}
            is_file = isinstance(said, bytes)
            data = said if is_file else json.dumps(said).encode()
            self.send_response(status)
            if 300 <= status < 400:
                self.send_header("Location", "https://elsewhere.example/")
            self.send_header("Content-Type", "image/png" if is_file else "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        do_GET = do_POST = do_PUT = do_DELETE = _answer  # noqa: N815 - http.server's

        def _refuse(self, path: str) -> None:
            if state.refusals:
                raise Refused(state.refusals.pop(0), "not now")
            keys = (self.headers.get("x-api-key"), self.headers.get("Authorization"))
            if KEY not in keys and f"Bearer {KEY}" not in keys:
                raise Refused(401, "Invalid API key")
            state.requests.append((self.command, path))
            if state.changes() > state.changes_left:
                raise Refused(400, "broken off")

        def log_message(self, *_: object) -> None:
            """Print nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        state.url = f"http://127.0.0.1:{server.server_address[1]}"
        if context is not None:
            server.socket = context.wrap_socket(server.socket, server_side=True)
            state.url = state.url.replace("http://127.0.0.1", "https://localhost")
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield state
        finally:
            server.shutdown()
            thread.join()
