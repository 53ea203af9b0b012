"""Draw docs/data_flow.svg from docs/data_flow.txt.

Run `python docs/diagrams.py` after a change of the text, or with `--check` to see whether the
drawing is up to date. Each line of the text is a lane: boxes in order, joined by arrows. A box is
`title: detail`. A line that begins with `+` hangs below the lane before it, from the box of the
same column.
"""

import sys
from html import escape
from pathlib import Path

FOLDER = Path(__file__).parent
WIDTH, HEIGHT, GAP_X, GAP_Y, MARGIN = 150, 58, 34, 30, 16

STYLE = """
  text { font: 13px system-ui, sans-serif; fill: #1f2328; text-anchor: middle }
  .detail { font-size: 11px; fill: #59636e }
  rect { fill: #f6f8fa; stroke: #0969da; stroke-width: 1.2; rx: 7 }
  .side { stroke: #8c959f }
  path { fill: none; stroke: #59636e; stroke-width: 1.3; marker-end: url(#head) }
  marker path { fill: #59636e; stroke: none; marker-end: none }
  @media (prefers-color-scheme: dark) {
    text { fill: #f0f6fc } .detail { fill: #9198a1 } rect { fill: #151b23; stroke: #4493f8 }
    .side { stroke: #656c76 } path { stroke: #9198a1 } marker path { fill: #9198a1 }
  }
"""


def draw(text: str) -> str:
    """Return the SVG of a flow text."""
    shapes, row, columns = [], -1, 0
    for line in text.strip().split("\n"):
        is_side, row = line.startswith("+"), row + 1
        boxes = [box.strip() for box in line.removeprefix("+").split("|")]
        columns = max(columns, len(boxes))
        for column, box in enumerate(boxes):
            if box:
                shapes += _box(column, row, box, is_side)
                if is_side:
                    shapes.append(_arrow_down(column, row))
                elif column:
                    shapes.append(_arrow_right(column, row))
    width = 2 * MARGIN + columns * WIDTH + (columns - 1) * GAP_X
    height = 2 * MARGIN + (row + 1) * HEIGHT + row * GAP_Y
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" role="img" '
        'aria-label="Data flow from raw events to profiles and recommendations">'
    )
    marker = (
        '<defs><marker id="head" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" '
        'markerHeight="7" orient="auto"><path d="M0,0 L8,4 L0,8 z"/></marker></defs>'
    )
    return "\n".join([head, f"<style>{STYLE}</style>", marker, *shapes, "</svg>", ""])


def _left(column: int) -> int:
    return MARGIN + column * (WIDTH + GAP_X)


def _top(row: int) -> int:
    return MARGIN + row * (HEIGHT + GAP_Y)


def _box(column: int, row: int, box: str, is_side: bool) -> list[str]:
    title, _, detail = (part.strip() for part in box.partition(":"))
    x, y, middle = _left(column), _top(row), _left(column) + WIDTH // 2
    kind = ' class="side"' if is_side else ""
    return [
        f'<rect{kind} x="{x}" y="{y}" width="{WIDTH}" height="{HEIGHT}"/>',
        f'<text x="{middle}" y="{y + 25}">{escape(title)}</text>',
        f'<text class="detail" x="{middle}" y="{y + 43}">{escape(detail)}</text>',
    ]


def _arrow_right(column: int, row: int) -> str:
    y = _top(row) + HEIGHT // 2
    return f'<path d="M{_left(column) - GAP_X},{y} H{_left(column)}"/>'


def _arrow_down(column: int, row: int) -> str:
    x = _left(column) + WIDTH // 2
    return f'<path d="M{x},{_top(row) - GAP_Y} V{_top(row)}"/>'


def main(arguments: list[str]) -> int:
    """Write the drawing; with `--check`, return 1 if the stored one differs."""
    drawing = draw((FOLDER / "data_flow.txt").read_text(encoding="utf-8"))
    target = FOLDER / "data_flow.svg"
    if arguments == ["--check"]:
        if target.read_text(encoding="utf-8") == drawing:
            return 0
        print(f"{target}: differs from data_flow.txt; run python docs/diagrams.py")
        return 1
    target.write_text(drawing, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
