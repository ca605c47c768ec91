"""PESQ over bitrate as a small picture (SVG), readable on a light and on a dark page. Bytes of text in, text out."""

from collections.abc import Mapping, Sequence

WIDTH, HEIGHT = 640, 340
LEFT, RIGHT, TOP, BOTTOM = 62, 20, 20, 44
LEGEND_X, LEGEND_Y = 420, 190
"""Where no curve comes: bottom right."""
STEP = 0.5
"""Of PESQ, between two lines of the grid."""
COLOURS = ("#3a86d0", "#d9822b", "#2f9e6e", "#c0589b", "#8a7fd1")
"""Each with a contrast above 3 on white and on near black."""
STYLE = """
  text { font: 13px system-ui, sans-serif; fill: #444 }
  .grid { stroke: #999; stroke-opacity: .35 }
  .line { fill: none; stroke-width: 2 }
  @media (prefers-color-scheme: dark) { text { fill: #ccc } }
"""


def draw(curves: Mapping[str, Sequence[tuple[float, float]]], marked: float) -> str:
    """Named curves of (kbit/s, PESQ); `marked` is the bitrate that is the default."""
    points = [point for curve in curves.values() for point in curve]
    low_x, high_x = min(x for x, _ in points), max(x for x, _ in points)
    low_y, high_y = int(min(y for _, y in points) * 2) / 2, 4.65

    def at(x: float, y: float) -> tuple[float, float]:
        return (
            LEFT + (x - low_x) / (high_x - low_x) * (WIDTH - LEFT - RIGHT),
            TOP + (high_y - y) / (high_y - low_y) * (HEIGHT - TOP - BOTTOM),
        )

    parts = []
    for step in range(int(low_y / STEP), int(high_y / STEP) + 1):
        x, y = at(low_x, step * STEP)
        parts.append(f'<line class="grid" x1="{x:.1f}" y1="{y:.1f}" x2="{WIDTH - RIGHT}" y2="{y:.1f}"/>')
        parts.append(f'<text x="{x - 8:.1f}" y="{y + 4:.1f}" text-anchor="end">{step * STEP:.1f}</text>')
    for bitrate in sorted({x for x, _ in points}):
        x, y = at(bitrate, low_y)
        parts.append(f'<text x="{x:.1f}" y="{y + 18:.1f}" text-anchor="middle">{bitrate:.0f}</text>')
    x, y = at(marked, low_y)
    parts.append(
        f'<line class="grid" stroke-dasharray="4 3" x1="{x:.1f}" y1="{TOP}" x2="{x:.1f}" y2="{y:.1f}"/>'
    )
    parts.append(f'<text x="{x + 5:.1f}" y="{y - 6:.1f}">default</text>')
    for number, (name, curve) in enumerate(curves.items()):
        colour = COLOURS[number % len(COLOURS)]
        path = " ".join("{:.1f},{:.1f}".format(*at(*point)) for point in sorted(curve))
        parts.append(f'<polyline class="line" stroke="{colour}" points="{path}"/>')
        parts += [
            '<circle r="3" fill="{}" cx="{:.1f}" cy="{:.1f}"/>'.format(colour, *at(*point)) for point in curve
        ]
        y = LEGEND_Y + 20 * number
        parts.append(f'<rect fill="{colour}" x="{LEGEND_X}" y="{y - 9}" width="12" height="10"/>')
        parts.append(f'<text x="{LEGEND_X + 18}" y="{y}">{name}</text>')
    middle = (LEFT + WIDTH - RIGHT) / 2
    parts.append(f'<text x="{middle:.0f}" y="{HEIGHT - 6}" text-anchor="middle">kbit/s</text>')
    parts.append(f'<text x="14" y="{TOP + 120}" transform="rotate(-90 14 {TOP + 120})">PESQ</text>')
    body = "\n".join(parts)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="PESQ over bitrate">\n'
        f"<style>{STYLE}</style>\n{body}\n</svg>\n"
    )
