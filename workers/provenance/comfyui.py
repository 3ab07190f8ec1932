"""How much of an image a ComfyUI graph generated: all of it, a part of a given image, or nothing.

A graph that was run maps the number of each node to its class and inputs; an input is a value, or
a link [number, output] to another node. The editor saves it as lists of nodes and links.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from workers.provenance.evidence import Extent

if TYPE_CHECKING:
    from collections.abc import Iterator

MAX_NODES = 10_000
# Longer texts are not parsed, which takes thirty times their memory, but searched.
MAX_PARSED_CHARACTERS = 1 << 20
# From this strength (`denoise`) little of the input is left, as in text to image: the files of the
# test collection that are known to be AI-generated and have an input were made at 0.87.
FULL_STRENGTH = 0.8
_NOT_RUN = (2, 4)  # modes of the editor: muted and bypassed

_LOADED_IMAGE = re.compile(r"Load ?Image|Image ?Load|LoadVideo", re.IGNORECASE)
# The class of a node: in a graph that was run, and as the editor saves it.
_CLASS = re.compile(r"\b(?:class_type|type)\"?\s?:\s?\"?([\w .|:/+-]{1,80})")
# An empty latent is where text to image starts.
_SAMPLER = re.compile(r"Sampler(?!Select)|SDUpscale|Detailer|Empty\w*Latent", re.IGNORECASE)
_MODEL = re.compile(r"Checkpoint|UNET ?Loader|DiffusionModelLoader|DiffusersLoader", re.IGNORECASE)
_INPAINT = re.compile(r"Inpaint|NoiseMask", re.IGNORECASE)
# Nodes that have an image made by a service.
_SERVICE = re.compile(
    r"OpenAI|DALL.?E|GPTImage|Gemini|Imagen|Ideogram|Recraft|Stability|FluxPro|FluxKontext"
    r"|Luma|Kling|Runway|MiniMax|Seedream|ByteDance|Midjourney|Reve",
    re.IGNORECASE,
)
# Inputs that steer how an image is made, other than the image or latent that it is made from.
_STEERING = re.compile(
    r"model|positive|negative|conditioning|clip|vae|control_net|guider|sigmas|noise|sampler|mask"
)


def generated_extent(text: str) -> Extent | None:
    """Return how much of the saved image a graph generated; None where it generated nothing.

    Of a text that is not a complete graph (it was cut off, or lost its quotation marks) the names
    of its nodes decide.
    """
    graph = _parse(text)
    if not graph:
        return _extent_by_names({match[1] for match in _CLASS.finditer(text)})
    outputs = next(filter(None, (_named(graph, word) for word in ("Save", "Preview", ""))))
    made_from = _upstream(graph, outputs, steering=False)
    generators = [graph[n] for n in made_from if _is_generator(graph[n])]
    if not generators:
        # A sampler with an unknown name needs a model all the same.
        everything = _upstream(graph, outputs, steering=True)
        if not any(_MODEL.search(_class(graph[n])) for n in everything):
            return None
    if not any(_LOADED_IMAGE.search(_class(graph[n])) for n in made_from):
        return Extent.WHOLE
    is_inpainted = any(_INPAINT.search(_class(graph[n])) for n in made_from)
    is_partial = is_inpainted or all(_keeps_input(graph, node) for node in generators)
    return Extent.PART if is_partial else Extent.WHOLE


def _extent_by_names(classes: set[str]) -> Extent | None:
    """Return how much a graph generated, of which only the classes of its nodes are known."""
    generators = (_SAMPLER, _SERVICE, _MODEL)
    if not any(pattern.search(name) for name in classes for pattern in generators):
        return None
    has_input = any(_LOADED_IMAGE.search(name) for name in classes)
    return Extent.PART if has_input else Extent.WHOLE


def _parse(text: str) -> dict[str, dict[str, Any]]:
    """Return the nodes of a graph by number; {} where the text is not one."""
    if len(text) > MAX_PARSED_CHARACTERS:
        return {}
    try:
        graph, _ = json.JSONDecoder().raw_decode(text[text.index("{") :])
    except (ValueError, RecursionError):
        return {}
    if isinstance(graph.get("nodes"), list):
        graph = _from_editor(graph)
    nodes = graph.items() if len(graph) <= MAX_NODES else ()
    return {n: node for n, node in nodes if isinstance(node, dict) and _class(node)}


def _from_editor(workflow: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Return an editor's workflow in the form that is run, without the values of inputs."""
    links = workflow.get("links")
    origins = {
        link[0]: str(link[1])
        for link in (links if isinstance(links, list) else ())
        if isinstance(link, list) and len(link) > 1 and isinstance(link[0], int)
    }
    graph = {}
    for node in workflow["nodes"]:
        if not isinstance(node, dict):
            continue
        inputs = node.get("inputs")
        graph[str(node.get("id"))] = {
            "class_type": "Bypassed" if node.get("mode") in _NOT_RUN else node.get("type"),
            "inputs": {
                str(slot.get("name")): [origins[slot["link"]]]
                for slot in (inputs if isinstance(inputs, list) else ())
                if isinstance(slot, dict)
                and isinstance(slot.get("link"), int)
                and slot["link"] in origins
            },
        }
    return graph


def _named(graph: dict[str, dict[str, Any]], word: str) -> list[str]:
    return [number for number, node in graph.items() if word in _class(node)]


def _upstream(
    graph: dict[str, dict[str, Any]], outputs: list[str], *, steering: bool
) -> dict[str, None]:
    """Return the nodes that lead to the outputs, with those that only steer or without."""
    reached = dict.fromkeys(outputs)
    waiting = list(outputs)
    while waiting:
        for name, number in _links(graph[waiting.pop()]):
            is_followed = steering or not _STEERING.search(name)
            if is_followed and number in graph and number not in reached:
                reached[number] = None
                waiting.append(number)
    return reached


def _links(node: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield (input, number of the node that it comes from)."""
    inputs = node.get("inputs")
    for name, value in inputs.items() if isinstance(inputs, dict) else ():
        if isinstance(value, list) and value:
            yield str(name), str(value[0])


def _is_generator(node: dict[str, Any]) -> bool:
    return bool(_SAMPLER.search(_class(node)) or _SERVICE.search(_class(node)))


def _keeps_input(graph: dict[str, dict[str, Any]], node: dict[str, Any]) -> bool:
    """Check whether a generator starts from an image, not from noise alone."""
    if _SERVICE.search(_class(node)):
        return True
    # The strength is the sampler's own input, or that of the schedule of its noise.
    schedules = [graph[n] for name, n in _links(node) if name == "sigmas" and n in graph]
    inputs = [each.get("inputs") for each in (node, *schedules)]
    values = [each for each in inputs if isinstance(each, dict)]
    return any(_number(each, "denoise", 1) < FULL_STRENGTH for each in values) or any(
        _number(each, "start_at_step", 0) > 0 for each in values
    )


def _number(inputs: dict[str, Any], name: str, default: float) -> float:
    value = inputs.get(name)
    return value if isinstance(value, (int, float)) else default


def _class(node: dict[str, Any]) -> str:
    name = node.get("class_type")
    return name if isinstance(name, str) else ""
