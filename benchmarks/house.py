"""Measure the layout and the language of the code in a checkout.

    python benchmarks/house.py [--list] [FOLDER]

Print modules per folder, imports between modules and between folders, import cycles, the share of
docstrings that open with a verb, banned phrases, and lines of code. FOLDER is by default this
checkout; another one allows to compare two commits. `--list` prints where each docstring without a
verb and each banned phrase is. Only the standard library is needed.
"""

from __future__ import annotations

import ast
import io
import re
import sys
import tokenize
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from collections.abc import Set as AbstractSet

PACKAGES = ("scanner", "workers", "storage")
PROSE = ("*.md", "docs/**/*.md", ".github/**/*.md", ".github/ISSUE_TEMPLATE/*.yml")
TEMPLATES = ("scanner/**/*.html", "scanner/**/*.j2")
# The changelog quotes what things were called before.
EXEMPT = {"CHANGELOG.md"}

# Home-made words and turns of phrase (left), and what to say instead.
BANNED = {
    r"keepers?": "rescuer",
    r"recorders?": "result writer",
    r"ledger|station": "batch writer, worker context",
    r"patience": "retry",
    r"signs? of life": "heartbeat",
    r"easing|own speed": "autoscale, self-test",
    r"spill": "external sort",
    r"whole file": "atomic write",
    r"doubtful|doubted|doubts": "unsure",
    r"suspects?": "flagged images",
    r"worn": "degraded",
    r"AI-made": "AI-generated",
    r"false[ -]alarms?|false accusations?|accus(e|es|ed|ing)": "false positive",
    r"how right": "accuracy",
    r"nets?": "model",
    r"pictures?": "image",
    r"suffix(es)?": "extension",
    r"mend(s|ed|ing)?": "fix",
    r"anew": "again",
    r"whoever": "who, anyone who",
    r"be had": "get",
    r"of one's own": "own",
    r"(?<!there )(is|are) no(?! longer| more| other| evidence)": "is not a; not found",
    r"knows? no|has none of ours": "unknown",
    r"(came|comes|come) of (it|them)": "results",
    r"the same command goes on": "run the same command again to resume",
    r"by itself(?= ended)": "unexpectedly",
    r"he|she|his|him|her|hers": "they",
    r"looks at no|of ours": "(say what it is)",
}
# Documented names that contain such a word: options, keys and paths that stay compatible.
COMPATIBLE = re.compile(
    r"--no-keeper|second_opinions|workers/training/nets|training\.nets|scanner\.(keeper|recorder)"
    r"|/nets/|nets/\*|--make nets|bench nets|net\.(tflite|onnx)"
    r"|bin/picture|~/Pictures|scanner/pictures|my-pictures|pictures\.csv|the folder `?pictures`?"
    r"|`patience`|\bHe et al"  # terms and names
)
PHRASES = re.compile(
    "|".join(rf"(?P<b{n}>\b(?:{phrase})\b)" for n, phrase in enumerate(BANNED)), re.IGNORECASE
)

# First words of docstrings that are not verbs in the imperative, though they look like some.
OTHER_OPENINGS = frozenset(
    """
    a about above after again all also among an and another any anything are as at away back
    because before below beside besides between board both but by can case detail device each
    either else enough every everything exactly false few first for four from given half
    hands has he here his how if in image inside is it its just kinds last latest least less like
    likely long many model more most much neither never new next no nobody none not nothing now
    nowhere of on once one only or other others otherwise our out over own parquet part people
    per plain same second several short since sixteen so some somebody something stdout still
    such text than that the their them then there these they thing this those three to together
    too true two under until up upon value very was way what whatever when where whether which
    while who whoever whole whose why width with within without yes yet you your
    """.split()  # noqa: SIM905 - a list of a hundred quoted words reads worse
)
# Verbs with the endings of nouns and participles.
VERBS = frozenset(
    """
    access address assess bring compress cross discuss embed exceed express feed guess need pass
    press proceed process ring seed shed speed string succeed
    """.split()  # noqa: SIM905
)
ENDINGS = ("s", "ed", "ing")


@dataclass(frozen=True, slots=True)
class Module:
    """A module, and the modules that it imports at run time and for types only."""

    name: str
    file: Path
    tree: ast.Module
    imports: set[str] = field(default_factory=set)
    typed: set[str] = field(default_factory=set)

    @property
    def room(self) -> str:
        """The folder of the module below its package, or the module itself."""
        return ".".join(self.name.split(".")[:2])


@dataclass(frozen=True, slots=True)
class Banned:
    """A banned phrase, and where it is."""

    file: str
    line: int
    phrase: str
    instead: str


def modules(root: Path) -> dict[str, Module]:
    """Parse all modules of the packages, with their imports of each other."""
    found = {}
    for package in PACKAGES:
        for file in sorted((root / package).rglob("*.py")):
            name = ".".join(file.relative_to(root).with_suffix("").parts).removesuffix(".__init__")
            found[name] = Module(name, file, ast.parse(file.read_text("utf-8")))
    for module in found.values():
        _collect_imports(module, module.tree, found.keys(), module.imports)
        module.typed.difference_update(module.imports)
    return found


def _collect_imports(
    module: Module, node: ast.AST, names: AbstractSet[str], into: set[str]
) -> None:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.If) and "TYPE_CHECKING" in ast.dump(child.test):
            _collect_imports(module, child, names, module.typed)
        elif isinstance(child, ast.Import):
            into.update(names & {alias.name for alias in child.names})
        elif isinstance(child, ast.ImportFrom) and child.module:
            for alias in child.names:
                inner = f"{child.module}.{alias.name}"
                into.update(names & {inner if inner in names else child.module})
        else:
            _collect_imports(module, child, names, into)


def cycles(graph: dict[str, set[str]]) -> list[list[str]]:
    """Return the strongly connected components of more than one node (Tarjan 1972)."""
    index: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []
    found: list[list[str]] = []

    def visit(node: str) -> None:
        index[node] = low[node] = len(index)
        stack.append(node)
        for target in graph[node]:
            if target not in index:
                visit(target)
                low[node] = min(low[node], low[target])
            elif target in stack:
                low[node] = min(low[node], index[target])
        if low[node] == index[node]:
            start = stack.index(node)
            if len(stack) - start > 1:
                found.append(sorted(stack[start:]))
            del stack[start:]

    for node in graph:
        if node not in index:
            visit(node)
    return found


def docstrings(module: Module) -> Iterator[tuple[str, int, str]]:
    """Yield name, line and docstring of each function and method, properties left out."""
    for node in ast.walk(module.tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            text = ast.get_docstring(node)
            if text and not any("property" in ast.dump(name) for name in node.decorator_list):
                yield node.name, node.lineno, text


def opens_with_verb(docstring: str) -> bool:
    """Tell whether the first word of a docstring looks like a verb in the imperative."""
    match = re.match(r"([A-Z][a-z]+)\b(?!')", docstring)
    word = match[1].lower() if match else ""
    return (
        bool(word) and word not in OTHER_OPENINGS and (word in VERBS or not word.endswith(ENDINGS))
    )


def sentences(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """Yield line and text of each string literal with a space in it: messages, help, docstrings."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and " " in node.value:
            yield node.lineno, node.value


def banned(root: Path) -> list[Banned]:
    """Find banned phrases in pages, templates, and string literals of the packages."""
    found = []
    for pattern in (*PROSE, *TEMPLATES):
        for file in sorted(root.glob(pattern)):
            name = file.relative_to(root).as_posix()
            if name not in EXEMPT:
                found += _in_text(name, 1, file.read_text("utf-8"))
    for module in modules(root).values():
        name = module.file.relative_to(root).as_posix()
        for line, text in sentences(module.tree):
            found += _in_text(name, line, text)
    return found


def _in_text(name: str, first: int, text: str) -> Iterator[Banned]:
    text = COMPATIBLE.sub(lambda match: " " * len(match[0]), text)
    for match in PHRASES.finditer(text):
        group = int(str(match.lastgroup)[1:])
        line = first + text.count("\n", 0, match.start())
        yield Banned(name, line, match[0], list(BANNED.values())[group])


def code_lines(file: Path) -> int:
    """Count the lines that hold code: no blank lines, comments or docstrings."""
    source = file.read_text("utf-8")
    lines: set[int] = set()
    ignored = {tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT}
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type not in ignored:
            lines.update(range(token.start[0], token.end[0] + 1))
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            lines.difference_update(range(node.lineno, (node.end_lineno or node.lineno) + 1))
    return len(lines)


def print_layout(found: dict[str, Module], root: Path) -> None:
    """Print the entries of each folder, and the imports between modules and between folders."""
    entries = Counter(module.file.parent.relative_to(root).as_posix() for module in found.values())
    print("modules per folder:")
    for folder, count in sorted(entries.items()):
        print(f"  {folder:<40} {count:>3}")
    run_time = sum(len(module.imports) for module in found.values())
    typed = sum(len(module.typed) for module in found.values())
    print(f"imports between modules: {run_time} at run time, {typed} more for types")
    for package in PACKAGES:
        inner = [module for module in found.values() if module.name.startswith(f"{package}.")]
        between = {
            (module.room, found[target].room)
            for module in inner
            for target in module.imports | module.typed
            if target.startswith(f"{package}.") and found[target].room != module.room
        }
        rooms = {module.room for module in inner}
        print(f"  {package}: {len(rooms)} rooms, {len(between)} arrows between them")
    circles = cycles({module.name: module.imports | module.typed for module in found.values()})
    print(f"import cycles, types included: {len(circles) or 'none'}")
    for circle in circles:
        print(f"  {' '.join(circle)}")


def print_language(found: dict[str, Module], root: Path) -> None:
    """Print the share of docstrings that open with a verb, and the banned phrases."""
    openings = [
        opens_with_verb(text) for module in found.values() for _, _, text in docstrings(module)
    ]
    print(f"docstrings that open with a verb: {sum(openings)} of {len(openings)}")
    phrases = Counter(phrase.phrase.lower() for phrase in banned(root))
    print(f"banned phrases: {sum(phrases.values())}")
    for phrase, count in phrases.most_common():
        print(f"  {phrase:<40} {count:>3}")


def print_places(found: dict[str, Module], root: Path) -> None:
    """Print where each docstring without a verb and each banned phrase is."""
    for module in found.values():
        for name, line, text in docstrings(module):
            if not opens_with_verb(text):
                print(f"{module.file.relative_to(root)}:{line}: {name}: {text.splitlines()[0]}")
    for place in banned(root):
        print(f"{place.file}:{place.line}: {place.phrase} (say: {place.instead})")


def main() -> None:
    """Print all figures."""
    folders = [argument for argument in sys.argv[1:] if argument != "--list"]
    root = Path(folders[0] if folders else Path(__file__).parents[1]).resolve()
    found = modules(root)
    if "--list" in sys.argv:
        print_places(found, root)
        return
    print_layout(found, root)
    print_language(found, root)
    lines = sum(len(module.file.read_text("utf-8").splitlines()) for module in found.values())
    print(f"lines: {lines}, of code: {sum(code_lines(module.file) for module in found.values())}")


if __name__ == "__main__":
    main()
