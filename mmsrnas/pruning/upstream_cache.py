"""Forward passes that skip what does not depend on one module."""

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

__all__ = ["UpstreamCache"]


class UpstreamCache:
    """Remembers, for each batch, the outputs of the modules that end before another one starts.

    Such modules cannot depend on it. The first pass of a batch is an ordinary one and notes their
    outputs; in later passes they hand them out without computing. Only modules that run once in a
    forward pass and return a tensor take part.

    Args:
        net: A network that runs the same modules in the same order for every batch, with weights
            upstream of ``module`` that do not change.
        module: Name of the module whose weights change.
    """

    def __init__(self, net: nn.Module, module: str) -> None:
        self.net = net
        self.module = module
        self.outputs: dict[int, dict[str, Tensor]] = {}
        self.skipped: list[str] = []
        self.needed: list[str] = []
        self.planned = False

    @contextmanager
    def batch(self, index: int) -> Iterator[None]:
        """Runs forward passes of one batch with its memory.

        Args:
            index: Number of the batch; always the same images.
        """
        if not self.planned:
            with self._planning():
                yield
        elif index not in self.outputs:
            with self._noting(index):
                yield
        else:
            with self._replaying(index):
                yield

    @contextmanager
    def _planning(self) -> Iterator[None]:
        """Finds what ends before the module starts; the pass itself is an ordinary one."""
        events: list[tuple[str, str]] = []
        results: dict[str, bool] = {}
        handles = []
        for name, module in self.net.named_modules():
            if name:
                start, end = _recorders(events, results, name)
                handles += [
                    module.register_forward_pre_hook(start),
                    module.register_forward_hook(end),
                ]
        try:
            yield
        finally:
            for handle in handles:
                handle.remove()
        begin = events.index(("start", self.module))
        runs = Counter(name for kind, name in events if kind == "start")
        done = [name for kind, name in events[:begin] if kind == "end"]
        done = [name for name in done if runs[name] == 1 and results[name]]
        outermost = [name for name in done if not any(_inside(name, outer) for outer in done)]
        # A sequence hands on nothing but the output of its last member.
        last = {name.rpartition(".")[0]: name for name in outermost}
        for name in outermost:
            parent = name.rpartition(".")[0]
            sequence = isinstance(self.net.get_submodule(parent), nn.Sequential) and runs[parent]
            if sequence and last[parent] != name:
                self.skipped.append(name)
        self.needed = [name for name in outermost if name not in self.skipped]
        self.planned = True

    @contextmanager
    def _noting(self, index: int) -> Iterator[None]:
        notes = self.outputs[index] = {}

        def hook(name: str) -> Callable[..., None]:
            # A copy, because a later operation may work in place.
            return lambda module, inputs, output: notes.update({name: output.detach().clone()})

        handles = [
            self.net.get_submodule(name).register_forward_hook(hook(name)) for name in self.needed
        ]
        try:
            yield
        finally:
            for handle in handles:
                handle.remove()

    @contextmanager
    def _replaying(self, index: int) -> Iterator[None]:
        notes = self.outputs[index]
        answers = {name: _answer(notes[name]) for name in self.needed}
        answers |= dict.fromkeys(self.skipped, _pass_on)
        modules = {name: self.net.get_submodule(name) for name in answers}
        for name, module in modules.items():
            module.forward = answers[name]
        try:
            yield
        finally:
            for module in modules.values():
                del module.forward


def _recorders(
    events: list[tuple[str, str]], results: dict[str, bool], name: str
) -> tuple[Callable[..., None], Callable[..., None]]:
    def start(module: nn.Module, inputs: tuple) -> None:
        events.append(("start", name))

    def end(module: nn.Module, inputs: tuple, output: object) -> None:
        events.append(("end", name))
        results[name] = isinstance(output, torch.Tensor)

    return start, end


def _inside(name: str, outer: str) -> bool:
    return name.startswith(f"{outer}.")


def _answer(output: Tensor) -> Callable[..., Tensor]:
    return lambda *args, **kwargs: output.clone()


def _pass_on(x: Tensor, *args: object, **kwargs: object) -> Tensor:
    return x
