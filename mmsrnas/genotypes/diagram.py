"""Diagrams of genotypes: boxes and arrows, without the picture."""

from dataclasses import dataclass, field

__all__ = ["Box", "Diagram"]

Box = tuple[float, float, str, str]


@dataclass
class Diagram:
    """Boxes and arrows of one panel; a kind is ``searched``, ``fixed`` or ``data``.

    Attributes:
        title: Heading of the panel.
        boxes: ``name -> (x, y, text, kind)``, ``x`` and ``y`` in units of about a box's height.
        arrows: ``(from, to, kind, bend)``; a bend above 0 passes above the boxes in between.
    """

    title: str
    boxes: dict[str, Box] = field(default_factory=dict)
    arrows: list[tuple[str, str, str, float]] = field(default_factory=list)

    def box(self, name: str, x: float, y: float, text: str, kind: str = "fixed") -> None:
        """Adds a box with its centre at ``(x, y)``."""
        self.boxes[name] = (x, y, text, kind)

    def arrow(self, start: str, end: str, kind: str = "fixed", bend: float = 0.0) -> None:
        """Adds an arrow between two boxes."""
        self.arrows.append((start, end, kind, bend))
