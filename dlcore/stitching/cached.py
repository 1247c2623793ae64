"""Controls kept on disk: pairs of networks with one top share their self-stitches and, often, the untrained bottom."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
from collections.abc import Callable
from pathlib import Path

import torch

from dlcore import borrowed, cache
from dlcore.stitching.fitting import Stitch
from dlcore.stitching.options import StitchOptions
from dlcore.stitching.subject import StitchData, Subject
from dlcore.training import Curves

# raise it when a change of code changes what a stitch measures
FORMAT = 2


class Kept:
    """Stitches in a folder, named by the hash of all they depend on: both networks, the data, stages and options."""

    def __init__(self, folder: str | Path, data: StitchData, options: StitchOptions) -> None:
        if options.augment is not None:
            raise ValueError("keep cannot be combined with augment: a function has no hash by which to know it again")
        self.folder = cache.expanded(folder)
        how = dataclasses.replace(
            options, device="", cache_bytes=0, training=dataclasses.replace(options.training, seed=0)
        )
        self._data = _digest(FORMAT, repr(how), *data)
        self._network = functools.cache(_of_network)

    def stitch(self, bottom: Subject, top: Subject, names: tuple, make: Callable[[], Stitch]) -> Stitch:
        """Returns the stitch that is kept under all it depends on, without curves and model, or makes and keeps it.

        A damaged file costs time, never the run.
        """

        def read(path: Path) -> Stitch:
            fields = torch.load(path, map_location="cpu", weights_only=True)
            arrays = {name: fields.pop(name).numpy() for name in ("wrong", "top_wrong")}
            return Stitch(**{**fields, **arrays, "curves": Curves(), "model": None})

        name = _digest(self._data, self._network(bottom), self._network(top), repr(names))
        path = self.folder / f"{name[:24]}.pt"
        if (found := cache.kept(path, read)) is None:
            found = make()
            fields = {k: v for k, v in vars(found).items() if k not in ("curves", "model")}
            fields = {k: torch.from_numpy(v) if k.endswith("wrong") else v for k, v in fields.items()}
            cache.keep(path, lambda file: torch.save(fields, file))
        return found


def _of_network(of: Subject) -> str:
    # a network is more than its weights: what else it computes with shows in its outputs
    with torch.no_grad():
        out = borrowed.run(of.model, of.example)
    out = out if isinstance(out, torch.Tensor) else repr(out)
    return _digest(str(of.model), *of.model.state_dict().values(), out)


def _digest(*parts) -> str:
    found = hashlib.sha256()
    for part in parts:
        if isinstance(part, torch.Tensor):
            part = part.detach().cpu().contiguous()
            found.update(f"{part.dtype}{tuple(part.shape)}".encode())
            found.update(part.reshape(-1).view(torch.uint8).numpy().data if part.numel() else b"")
        else:
            found.update(f"|{part}".encode())
    return found.hexdigest()
