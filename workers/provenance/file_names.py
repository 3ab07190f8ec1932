"""File names that generators and their websites give to what they make.

A name proves nothing: anyone can give it to any file, and it is lost when a file is renamed. So it
makes an image `unsure` at most. Only names count that no camera, phone, scanner, screenshot tool or
stock site is known to give; only the file's own name, and no folder.
"""

from __future__ import annotations

import os
import re
import unicodedata
from typing import NamedTuple

from storage.asset_paths import without_key
from storage.records import FILE_NAMES, Finding

# Stated, not measured: the threshold of `unsure`.
SCORE = 0.5
KIND = "file_name"
# Characters of a name that are looked at; file systems allow about as many.
MAX_CHARACTERS = 300

# In lower case: phones write upper case.
_UUID = r"(?-i:[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12})"
# Phones and programs name their own files in the shape of Midjourney's.
_NO_PROMPT = (
    r"(?!(?:default|dsc\w*|fb|image|img|mvimg|photo|pxl|received|scan|screenshot|signal|vid|whatsapp)_"
    r"|(?:.*_)?(?:attachment|cached?|compressed|cropped|cropper|export|lib|picker|resized|scaled|"
    r"temp|tmp|thumb|thumbnail|uploads?)_)"
)
# In a prompt of two words, these are more likely a program's.
_NO_PHOTO = (
    r"(?!(?:.*_)?(?:asset|avatar|camera|capture[ds]?|document|file|frame|images?|img|media|photos?|"
    r"pictures?|profile|video)_)"
)
_WORD = r"(?:(?:\d+_)*[^_]*[^\W\d_][^_]*_)"
# Seconds since 1970 from 2015 to 2036, and days from 1900 on: more likely than as a random number.
_TIMES = r"(?!1[4-9]\d{8}$|20\d{8}$|(?:19|20)\d\d(?:0\d|1[0-2])[0-3]\d$)"
_MODELS = (
    "albedo|anime|creative|diffusion|flux|kino|leonardo|lightning|lucid|phoenix|select|signature|"
    "vision"
)


class Pattern(NamedTuple):
    """A shape of names, as people read it, and the expression for the beginning of `plain` ones."""

    generator: str
    shape: str
    expression: str


# Spaces, plus signs and underscores are all underscores here; websites write hyphens for them.
PATTERNS = (
    Pattern(
        "ChatGPT",
        "ChatGPT Image …",
        r"chatgpt[-_](?:image|bild|imagen|imagem|immagine)(?:[-_].*(?<!\d)20[2-9]\d(?!\d)|$)",
    ),
    Pattern(
        "ChatGPT",
        "Image ChatGPT …",
        r"(?:image|imagem)[-_](?:de|du|do)?[-_]?chatgpt[-_].*20[2-9]\d",
    ),
    Pattern("DALL·E", "DALL·E 2024-… - …", r"dall[^0-9a-z]{0,3}e[-_]20[2-9]\d-\d\d-\d\d[-_]"),
    Pattern("Sora", "…_simple_compose_…", r"\d{8}_\d{4}_.+_[a-z]+(?:_[a-z]+)?_01[0-9a-z]{24}"),
    Pattern("Gemini", "Gemini_Generated_Image_…", r"gemini[-_]generated[-_]image(?:[-_]|$)"),
    Pattern(
        "Google AI Studio",
        "Generated Image September 12, 2025 …",
        r"generated[-_]image[-_][a-z]+[-_]\d{1,2},?[-_]20[2-9]\d",
    ),
    Pattern("Google ImageFX", "image_fx_…", r"image_?fx(?:_|$)"),
    Pattern("Google Whisk", "Whisk_…", r"whisk_[0-9a-f]{10,}"),
    Pattern("ComfyUI", "ComfyUI_00001_", r"comfyui(?:[-_]temp_[a-z]{5})?[-_]\d{4,6}(?!\d)"),
    Pattern(
        "Midjourney",
        "user_prompt_words_uuid_0",
        rf"{_NO_PROMPT}(?:[^_]+_{_WORD}{{3}}.*(?<=_){_UUID}(?:_[0-3])?"
        rf"|{_NO_PHOTO}[^_]+_{_WORD}{{2}}{_UUID})$",
    ),
    Pattern(
        "Midjourney",
        "user_prompt_uuid_0",
        rf"{_NO_PROMPT}[^_]+_{_WORD}.*(?<=_){_UUID}_[0-3]$",
    ),
    Pattern("Grok", "grok-image-uuid", r"grok[-_]image[-_](?=[-_a-z]*\d)[-_0-9a-z]{8,}"),
    Pattern("Adobe Firefly", "Firefly 20240101…", r"firefly_20[2-9]\d{5}[-_]?\d{6}(?!\d)"),
    Pattern("Adobe Firefly", "Firefly prompt 12345", r"(?-i:Firefly)_.*[a-z]{2}.*_\d{5,6}$"),
    Pattern("Stable Diffusion web UI", "00012-1234567890", rf"0\d{{4}}-{_TIMES}[1-9]\d{{6,9}}$"),
    Pattern(
        "Stable Diffusion web UI",
        "00012-1234567890-prompt",
        r"\d{5}-[1-9]\d{6,9}-(?=.*[a-z]{3})[^-]",
    ),
    Pattern("Stable Diffusion web UI", "txt2img_…", r"(?:txt2img|img2img)[-_].*\d"),
    Pattern("InvokeAI", "000012.1a2b3c4d.1234567890", r"\d{6}\.[0-9a-f]{8}\.\d{5,10}$"),
    Pattern("NovelAI", "prompt s-1234567890", r".*[a-z]{2}.*_s-\d{6,10}$"),
    Pattern("Easy Diffusion", "…_S1234_St25_G7.5", r".+_s\d+_st\d+_g[\d.]+$"),
    Pattern("Bing Image Creator", "OIG…", r"OIG[1-4]?\.[-\w]{6,}|OIG[1-4]$"),
    Pattern("Bing Image Creator", "_uuid", rf"_{_UUID}$"),
    Pattern("Microsoft Copilot", "Copilot_20250101_123456", r"copilot_20[2-9]\d{5}_\d{6}(?!\d)"),
    Pattern("Leonardo.Ai", "Leonardo_Phoenix_…", rf"leonardo[-_](?:{_MODELS})[-_].*[a-z]"),
    Pattern(
        "Leonardo.Ai",
        "Default_prompt_words_0",
        rf"(?-i:Default|AlbedoBase_XL|DreamShaper_v\d|Absolute_Reality_v\d+|3D_Animation_Style)_"
        rf"{_WORD}{{3}}.*(?<=_)[0-3](?:_{_UUID}.*)?$",
    ),
    Pattern("Ideogram", "ideogram-…", r"ideogram[-_](?:v\d|\d{4,}|(?=[-_a-z]*\d)[-_0-9a-z]{12,})"),
    Pattern("Meta AI", "Meta AI image …", r"meta[-_]?ai[-_](?:image|imagine|generated)"),
    Pattern("Meta AI", "Imagined with AI …", r"imagined[-_]with[-_](?:meta[-_]?)?ai(?:[-_]|$)"),
    Pattern(
        "Stable Diffusion",
        "stable-diffusion-…",
        r"(?:stable[-_]?diffusion|sdxl)[-_].*\d",
    ),
    Pattern(
        "FLUX", "flux-dev-…", r"flux[-_.]?(?:[12](?:\.1)?[-_.])?(?:dev|schnell|pro|kontext)[-_]"
    ),
    Pattern("Replicate", "replicate-prediction-…", r"replicate-prediction-[0-9a-z]{10,}"),
    Pattern("Qwen", "qwen-image-…", r"qwen[-_](?:image|generated|edit)(?:[-_]|$)"),
    Pattern("Qwen", "qwen_1234567890", r"qwen(?:[-_]ai)?[-_]\d{5,}"),
    Pattern("Jimeng", "jimeng-2025-…", r"jimeng(?:[-_]?ai)?[-_]\d{4}|.*即[梦夢]"),
    Pattern(
        "Doubao",
        "doubao_…",
        r"doubao(?:[-_]?ai)?[-_](?:image|\d{4,})|(?:.*[-_])?豆包[-_]?(?:ai|图|圖|生成|\d{4,})",
    ),
    Pattern("Seedream", "seedream-…", r"seedream[-_]?\d"),
    Pattern("Kling", "kling_20250101_…", r"kling(?:[-_]?ai)?_20[2-9]\d{5}_|可灵"),
    Pattern("Craiyon", "craiyon_123456_…", r"craiyon_\d{6}_"),
    Pattern("Freepik", "freepik__…__12345", r"freepik__.+__\d{3,}"),
    Pattern("NightCafe", "nightcafe_…", r"nightcafe[-_].*\d"),
)

_ANY = re.compile(
    "|".join(f"(?P<p{n}>{pattern.expression})" for n, pattern in enumerate(PATTERNS)),
    re.IGNORECASE,
)
# A plain name has underscores for these; websites and messengers exchange them.
_SPACES = re.compile(r"(?:%20|[\s+])+")
_EXTENSION = re.compile(
    r"\.(?:avif|bmp|gif|heic|heif|jfif|jpe?g|jxl|png|tiff?|webp)$", re.IGNORECASE
)
# What file managers and messengers add to a copy.
_COPIES = re.compile(
    r"^(?:copy_of|kopie_von|copie_de|copia_de|cópia_de|copia_di|spoiler)_+"
    r"|(?<![-\u2013_])[-\u2013_]*+\(\d{1,3}\)$"
    r"|(?<![-\u2013_])[-\u2013_]++(?:copy|kopie|copie|copia|cópia|copia_de_seguridad|kopia|副本|複製|コピー|копия)"
    r"(?:_?\d{1,3})?$"
    r"|のコピー$"
    r"|~\d$",
    re.IGNORECASE,
)
# Names of such copies of copies.
_MAX_COPIES = 4
# Lossless formats, in which the web UI saves; cameras and scanners number their JPEGs alike.
_NUMBERED = "00012-1234567890"
_LOSSLESS = (".png", ".webp")


def finding(path: bytes) -> Finding | None:
    """Return the finding on the name of a file; None where it follows no generator's pattern."""
    name = os.fsdecode(without_key(path).rpartition(b"/")[2])
    pattern = match(name)
    if pattern is None:
        return None
    text = f"The file's name follows {pattern.generator}'s pattern: “{pattern.shape}”."
    return Finding(FILE_NAMES, KIND, SCORE, text, {"generator": pattern.generator})


def match(name: str) -> Pattern | None:
    """Return the pattern that a file's name follows."""
    matched = _ANY.match(plain(name))
    if matched is None or matched.lastgroup is None:
        return None
    pattern = PATTERNS[int(matched.lastgroup.removeprefix("p"))]
    is_lossless = name.lower().endswith(_LOSSLESS)
    return pattern if is_lossless or pattern.shape != _NUMBERED else None


def plain(name: str) -> str:
    """Return a name without extensions and marks of copies, in one form of Unicode and of spaces.

    Compatibility characters are replaced (NFKC): fullwidth letters and narrow spaces, for example.
    """
    text = unicodedata.normalize("NFKC", name[:MAX_CHARACTERS])
    while (shorter := _EXTENSION.sub("", text)) != text:
        text = shorter
    text = _SPACES.sub("_", text)
    for _ in range(_MAX_COPIES):
        text = _COPIES.sub("", text).rstrip("_")
    return text
