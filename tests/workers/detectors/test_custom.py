"""Custom models: adding them, refusing invalid ones, and their scores."""

from __future__ import annotations

import hashlib
import json
import math
import os
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result
from PIL import Image

from scanner.cli import cli
from scanner.detectors.plan import plan_for
from storage.records import PlanError
from workers import limited_process
from workers.detectors import custom, installed, plugins
from workers.detectors.card import Card, CardError, Input, Output, Thresholds
from workers.detectors.custom_model import CustomModel, logit, prepared
from workers.detectors.loading import load
from workers.pipeline.pipeline import make_pipeline
from workers.pipeline.plan import require_same

MODELS = Path(__file__).parent / "models"
# What make.py gave its net: P(class 1) by the mean of each channel.
KERNEL, BIAS = (4.0, 2.0, -5.0), -0.5
USUAL = ("--scale", "255", "--classes", "FAKE,REAL")


def call(*arguments: object) -> Result:
    """Run `scanner detectors` with these arguments."""
    return CliRunner().invoke(
        cli, ["detectors", *(str(each) for each in arguments)], catch_exceptions=False
    )


def add(*arguments: object, model: str = "small.tflite", name: str = "mine") -> Result:
    """Add a model of the folder."""
    return call("add", MODELS / model, "--name", name, *arguments)


def real_by(colour: tuple[float, ...]) -> float:
    """Compute P(class 1) of a flat image by hand."""
    z = sum(weight * value / 255 for weight, value in zip(KERNEL, colour, strict=True)) + BIAS
    return 1 / (1 + math.exp(-z))


def flat(*colour: int) -> np.ndarray:
    """Return an 8x8 image of one colour."""
    return np.full((8, 8, 3), colour, np.uint8)


def test_scores_follow_the_order_of_classes() -> None:
    """With FAKE,REAL the model's one output is P(REAL), with REAL,FAKE it is P(AI)."""
    assert 0 == add(*USUAL).exit_code
    assert 0 == add("--scale", "255", "--classes", "real,ai", name="other").exit_code
    cards = installed.installed()
    pictures = [flat(250, 40, 10), flat(20, 10, 200)]
    real = [real_by((250, 40, 10)), real_by((20, 10, 200))]

    assert pytest.approx([1 - p for p in real], abs=1e-5) == load(cards["mine"]).score(pictures)
    assert pytest.approx(real, abs=1e-5) == load(cards["other"]).score(pictures)


def test_channels_are_ordered_as_described() -> None:
    """A BGR model gets red in place of blue."""
    add(*USUAL, "--channels", "BGR")
    score = load(installed.installed()["mine"]).score([flat(10, 40, 250)])

    assert pytest.approx([1 - real_by((250, 40, 10))], abs=1e-5) == score


def test_pixels_are_scaled_as_described() -> None:
    """Values are (pixel / scale - mean) / std, computed by hand."""
    picture = flat(255, 0, 51)
    given = Input(8, 8, "RGB", 0, 255, 1, 9, 127.5, (1.0, 1.0, 1.0), (0.5, 1.0, 2.0))

    assert pytest.approx([2.0, -1.0, -0.3]) == prepared(picture, given)[0, 0].tolist()


@pytest.mark.parametrize(
    ("output", "numbers", "expected"),
    [
        (Output("logits", 1, 1), [2.0], 2.0),
        (Output("logits", 1, 0), [2.0], -2.0),
        (Output("logits", 2, 0), [3.0, 1.0], 2.0),
        (Output("probabilities", 1, 1), [0.8], math.log(4)),
        (Output("probabilities", 2, 1), [0.2, 0.8], math.log(4)),
        (Output("probabilities", 2, 0), [0.2, 0.8], -math.log(4)),
    ],
)
def test_one_or_two_logits_or_probabilities(
    output: Output, numbers: list[float], expected: float
) -> None:
    """Each form is converted to the logit of P(AI)."""
    assert pytest.approx(expected) == logit(np.array(numbers), output)


def test_an_unmeasured_detector_never_says_ai() -> None:
    """Even the highest score stays below the threshold, unless the user sets one."""
    add("--scale", "0.001", "--classes", "REAL,FAKE")
    add("--scale", "0.001", "--classes", "REAL,FAKE", "--ai-threshold", "0.9", name="bold")
    cards = installed.installed()
    (score,) = load(cards["mine"]).score([flat(255, 255, 0)])

    assert score > 0.999_999
    assert 0.5 == cards["mine"].thresholds.unsure < score < cards["mine"].thresholds.ai == 1.0
    assert 0.9 == cards["bold"].thresholds.ai
    assert "not measured here" in cards["mine"].summary
    assert "nothing AI-generated" in cards["mine"].limits[0]


def test_no_score_reaches_a_threshold_of_one() -> None:
    """A logit of a thousand gives less than 1; NaN is an error."""

    class Sure:
        height = width = 8
        count, raw, last = 1, False, ""

        def __init__(self, number: float) -> None:
            self._number = number

        def run(self, _values: np.ndarray) -> np.ndarray:
            return np.array([self._number])

    add(*USUAL)
    card = installed.installed()["mine"]
    card = replace(card, output=Output("logits", 1, 1))

    assert 0.999_999 < CustomModel(card, Sure(1000.0)).score([flat(1, 2, 3)])[0] < 1.0
    with pytest.raises(ValueError, match="returns NaN or infinity"):
        CustomModel(card, Sure(math.nan)).score([flat(1, 2, 3)])


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--classes", "FAKE,REAL"), "say with --scale"),
        (("--scale", "255", "--classes", "FAKE,DOG"), "say with --classes"),
        (("--scale", "255", "--classes", "FAKE"), "say with --classes"),
        ((*USUAL, "--input", "9"), "takes images of 8x8, see --input"),
        ((*USUAL, "--input", "0"), "expected N or WxH"),
        ((*USUAL, "--sides", "9-3"), "expected MIN-MAX"),
        ((*USUAL, "--std", "0"), "expected one number or three"),
        ((*USUAL, "--mean", "nan"), "expected one number or three"),
    ],
)
def test_missing_and_invalid_options_are_named(arguments: tuple[str, ...], said: str) -> None:
    """The message names the option, and nothing is added."""
    done = add(*arguments)

    assert done.exit_code in (1, 2)
    assert said in done.output
    assert "mine" not in installed.installed()


@pytest.mark.parametrize("name", ["objects-32", "../up", "A", "a,b", ""])
def test_invalid_and_taken_names_are_refused(name: str) -> None:
    """Names of built-in detectors, paths and commas are refused."""
    assert 1 == add(*USUAL, name=name).exit_code
    assert list(installed.NAMES) == sorted(installed.installed())


def test_hostile_models_are_refused_with_one_message(tmp_path: Path) -> None:
    """Garbage, truncated and damaged models, and one with two inputs."""
    whole = (MODELS / "small.tflite").read_bytes()
    bodies = {"noise": bytes(range(256)) * 9, "cut": whole[:700], "empty": b""}
    for name, body in bodies.items():
        (tmp_path / f"{name}.tflite").write_bytes(body)
        (tmp_path / f"{name}.onnx").write_bytes(body)
    for model in [*sorted(tmp_path.iterdir()), MODELS / "two-inputs.tflite"]:
        done = call("add", model, "--name", "mine", *USUAL)

        assert 1 == done.exit_code
        assert done.output.startswith("Error: ")
        assert 1 == done.output.count("\n")
    assert not list(custom.folder().glob("*"))


def test_a_model_that_is_too_large_is_refused(tmp_path: Path) -> None:
    """A sparse file of three GiB is not read."""
    huge = tmp_path / "huge.tflite"
    with huge.open("wb") as file:
        file.truncate(3 * 2**30)

    assert "larger than 2 GiB" in call("add", huge, "--name", "mine", *USUAL).output


def test_a_model_that_gives_nan_is_refused(tmp_path: Path) -> None:
    """The bias of the model is set to NaN."""
    body = (MODELS / "small.tflite").read_bytes()
    bias = np.float32(BIAS).tobytes()
    assert 1 == body.count(bias)
    (tmp_path / "nan.tflite").write_bytes(body.replace(bias, np.float32("nan").tobytes()))

    assert "gives NaN" in call("add", tmp_path / "nan.tflite", "--name", "mine", *USUAL).output


def test_the_output_kind_is_detected_or_required() -> None:
    """Numbers outside 0 to 1 are logits; others could be either, and the option is required."""
    pytest.importorskip("onnxruntime")
    inside = ("--scale", "1e9", "--mean", "-1", "--classes", "FAKE,REAL")
    asked = add(*inside, model="small.onnx", name="on")
    wrong = add(*USUAL, "--output", "probabilities", model="small.onnx", name="on")
    done = add(*USUAL, model="small.onnx", name="on")
    score = load(installed.installed()["on"]).score([flat(250, 40, 10)])

    assert "--output logits, or --output probabilities" in asked.output
    assert "does not return probabilities: use --output logits" in wrong.output
    assert "output: 1 number (logits)" in done.output
    assert pytest.approx([1 - real_by((250, 40, 10))], abs=1e-5) == score


def test_a_custom_detector_is_used_where_it_is_named(tmp_path: Path) -> None:
    """The default plan is unchanged; a plan that names it uses it, resized images are `unsure`."""
    before = plan_for(None).digest()
    add("--scale", "255", "--classes", "REAL,FAKE", "--sides", "4-64", "--ai-threshold", "0.6")
    file = tmp_path / "picture.png"
    Image.fromarray(flat(250, 40, 10)).save(file)
    Image.fromarray(flat(250, 40, 10)).resize((50, 50)).save(tmp_path / "large.png")
    plan = plan_for("mine")
    small, large = (
        json.loads(line)
        for line in CliRunner()
        .invoke(
            cli, ["check", str(file), str(tmp_path / "large.png"), "--detectors", "mine", "--json"]
        )
        .output.splitlines()
    )

    assert before == plan_for(None).digest()
    assert (MODELS / "small.tflite").read_bytes() == custom.card_file("mine").with_suffix(
        ".tflite"
    ).read_bytes()
    assert hashlib.sha256((MODELS / "small.tflite").read_bytes()).hexdigest() == (
        plan.detectors[0].sha256
    )
    assert ("ai", "mine") == (small["verdict"], small["detector"])
    assert "unsure" == large["verdict"]


def test_the_same_model_with_other_classes_is_another_plan() -> None:
    """Verdicts are not mixed with those before the classes were swapped."""
    add(*USUAL)
    first = plan_for("mine")
    call("remove", "mine")
    add("--scale", "255", "--classes", "REAL,FAKE")

    assert first.detectors[0].sha256 == plan_for("mine").detectors[0].sha256
    assert first.digest() != plan_for("mine").digest()


def test_a_machine_without_a_custom_detector_is_told_its_folder() -> None:
    """The message names detector and folder; once it is copied, the plan can be followed."""
    add(*USUAL)
    plan = plan_for("mine")
    kept = custom.folder().with_name("kept")
    shutil.move(custom.folder() / "mine", kept)
    with pytest.raises(PlanError, match=r"asks for mine .* copy its folder mine .*detectors/mine$"):
        require_same(plan, installed.installed())
    shutil.move(kept, custom.folder() / "mine")

    assert make_pipeline(plan, 10**6)


def test_a_damaged_detector_does_not_stop_the_others() -> None:
    """With a truncated card it is one line on stderr, until it is removed."""
    add(*USUAL)
    add(*USUAL, name="fine")
    card = custom.card_file("mine")
    card.write_text(card.read_text()[:100])
    done = call("list", "--json")

    assert [*installed.NAMES, "fine"] == [
        one["name"] for one in json.loads(done.stdout)["detectors"]
    ]
    assert "mine.toml is damaged" in done.stderr
    assert 0 == call("remove", "mine").exit_code
    assert [] == installed.troubles()


def test_a_changed_model_is_not_run() -> None:
    """The card's checksum is verified when the model is loaded."""
    add(*USUAL)
    model = custom.card_file("mine").with_suffix(".tflite")
    model.write_bytes(model.read_bytes() + b"\0")

    with pytest.raises(CardError, match="is not the model that its card describes"):
        load(installed.installed()["mine"])
    checked = CliRunner().invoke(cli, ["doctor"])
    assert "scanner detectors remove mine" in " ".join(checked.output.split())


@pytest.mark.parametrize("name", ["objects-32", "..", "nothing", "../detectors/mine"])
def test_only_custom_detectors_are_removed(name: str) -> None:
    """Built-in names, unknown names and paths are a usage error."""
    add(*USUAL)

    assert 2 == call("remove", name).exit_code
    assert "mine" in installed.installed()


def test_test_prints_a_score_per_image(tmp_path: Path) -> None:
    """Images of any size are scored; an unreadable file is an error and exit code 3."""
    add(*USUAL)
    Image.fromarray(flat(250, 40, 10)).resize((400, 300)).save(tmp_path / "a.png")
    done = call("test", "mine", tmp_path / "a.png", tmp_path / "no.png", "--json")
    scored, missing = map(json.loads, done.stdout.splitlines())

    assert 3 == done.exit_code
    assert pytest.approx(1 - real_by((250, 40, 10)), abs=1e-5) == scored["score"]
    assert missing["score"] is None
    assert missing["error"]
    assert 2 == call("test", "provenance", tmp_path / "a.png").exit_code


PLUGIN = """
import numpy as np
from workers.detectors.card import Card, Input, Thresholds

class Bright:
    card = Card("bright", "1", "Calls bright pictures AI.", Thresholds(0.5, 0.9), (),
                input=Input(8, 8, "RGB", 0, 255, 4, 16))

    def score(self, images):
        return np.array([image.mean() / 255 for image in images])

def broken():
    raise RuntimeError("no licence key")
"""
ENTRIES = """[scanner.detectors]
bright = a_plugin:Bright
broken = a_plugin:broken
missing = a_plugin:nothing
objects-32 = a_plugin:Bright
"""


@pytest.fixture
def plugin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Install a package with one good plug-in and three that are broken."""
    site = tmp_path / "site"
    info = site / "a_plugin-1.dist-info"
    info.mkdir(parents=True)
    (site / "a_plugin.py").write_text(PLUGIN)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: a-plugin\nVersion: 1\n")
    (info / "entry_points.txt").write_text(ENTRIES)
    monkeypatch.syspath_prepend(site)
    # For the process that `check` judges in.
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(site), str(limited_process.HOME)]))


def test_plugins_are_used_and_broken_ones_reported(plugin: None, tmp_path: Path) -> None:
    """A working plug-in is listed and scans; the others are named with their errors."""
    done = call("list", "--json")
    Image.fromarray(flat(255, 255, 255)).save(tmp_path / "white.png")
    seen = CliRunner().invoke(
        cli, ["check", str(tmp_path / "white.png"), "--detectors", "bright", "--json"]
    )

    assert "bright" in [one["name"] for one in json.loads(done.stdout)["detectors"]]
    assert "the plug-in broken (a_plugin:broken) is broken: RuntimeError: no licence" in done.stderr
    assert "the plug-in missing (a_plugin:nothing) is broken" in done.stderr
    assert 3 == len(done.stderr.splitlines())
    assert ("ai", 1.0) == (json.loads(seen.output)["verdict"], json.loads(seen.output)["score"])


def test_a_plugin_with_a_taken_name_is_left_out(plugin: None) -> None:
    """The custom detector of that name stays."""
    pixels = [flat(250, 40, 10)]
    add(*USUAL, name="other")
    shutil.move(custom.folder() / "other", custom.folder() / "bright")
    card = custom.card_file("other").parent.with_name("bright") / "other.toml"
    card.rename(custom.card_file("bright"))
    text = custom.card_file("bright").read_text()
    custom.card_file("bright").write_text(text.replace('name = "other"', 'name = "bright"'))

    assert "bright is left out: another detector has that name" in installed.troubles()
    assert real_by((250, 40, 10)) == pytest.approx(
        1 - load(installed.installed()["bright"]).score(pixels)[0], abs=1e-5
    )


def test_a_plugin_without_an_input_is_broken(monkeypatch: pytest.MonkeyPatch) -> None:
    """A detector without an input cannot be given images."""
    card = Card("bright", "1", "", Thresholds(0.5, 0.9), ())

    class Point:
        name, value = "bright", "x:y"

        @staticmethod
        def load() -> object:
            return type("Detector", (), {"card": card})

    monkeypatch.setattr(plugins, "entry_points", lambda **_: [Point])

    assert ({}, 1) == (plugins.cards()[0], len(plugins.cards()[1]))
    with pytest.raises(CardError, match="is broken"):
        plugins.load(replace(card))
