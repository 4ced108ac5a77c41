"""Parses Swift sources with tree-sitter, and names what is no Swift.

Usage: syntax.py FOLDER...

Every `.swift` file below the folders is parsed. The grammar knows no types, so this finds unbalanced braces and broken
declarations, not wrong names. Two things that the generator writes are Swift and not in the grammar; they are replaced first, by text of
the same length, so that lines and columns stay right.
"""

import pathlib
import sys

import tree_sitter
import tree_sitter_swift

UNKNOWN_TO_THE_GRAMMAR = [
    (b"@_documentation(visibility: private)", b" " * len(b"@_documentation(visibility: private)")),
    (b"{ () }", b"{    }"),
]
# A file that is broken at its top would otherwise list every line.
PROBLEMS_SHOWN_MAX = 20


def problems(source):
    """Places, as (line, column, what), where the text is no Swift."""
    for unknown, blank in UNKNOWN_TO_THE_GRAMMAR:
        source = source.replace(unknown, blank)
    parser = tree_sitter.Parser(tree_sitter.Language(tree_sitter_swift.language()))
    found = []
    open_nodes = [parser.parse(source).root_node]
    while open_nodes:
        node = open_nodes.pop()
        if node.is_error or node.is_missing:
            row, column = node.start_point
            what = f"{node.type} is missing" if node.is_missing else source[node.start_byte : node.end_byte][:60]
            found.append((row + 1, column + 1, what))
        elif node.has_error:
            open_nodes.extend(node.children)
    return sorted(found, key=lambda problem: problem[:2])


def main(folders):
    # A check that finds nothing in broken text would find nothing anywhere.
    if not problems(b"func broken( {"):
        sys.exit("the grammar takes broken text for Swift")
    files = sorted(file for folder in folders for file in pathlib.Path(folder).rglob("*.swift") if ".build" not in file.parts)
    if not files:
        sys.exit(f"there is no Swift file below {', '.join(folders)}")
    wrong = 0
    for file in files:
        source = file.read_bytes()
        for line, column, what in problems(source)[:PROBLEMS_SHOWN_MAX]:
            wrong += 1
            print(f"{file}:{line}:{column}: {what}")
        print(f"{file.name}: {source.count(bytes([10]))} lines parsed")
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main(sys.argv[1:])
