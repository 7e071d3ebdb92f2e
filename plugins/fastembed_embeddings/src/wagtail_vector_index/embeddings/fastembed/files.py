"""Finds the files of a model on this machine, and downloads them when told to."""

from __future__ import annotations

import difflib
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from fastembed import TextEmbedding
from fastembed.common.model_description import ModelSource, PoolingType
from fastembed.rerank.cross_encoder import TextCrossEncoder
from huggingface_hub import try_to_load_from_cache

from .options import FastEmbedOptions

__all__ = [
    "TOKENIZER",
    "Located",
    "MissingFiles",
    "UnknownModel",
    "download",
    "locate",
    "locate_reranker",
]

#: Every model has this file, at the top of its folder.
TOKENIZER = "tokenizer.json"

_POOLING = {
    "mean": PoolingType.MEAN,
    "cls": PoolingType.CLS,
    "last_token": PoolingType.LAST_TOKEN,
    "none": PoolingType.DISABLED,
}
_registering = threading.Lock()

#: The library's classes of models, each with a list of those that it knows.
Library = type[TextEmbedding] | type[TextCrossEncoder]


class ModelOptions(Protocol):
    """The settings that say where a model is that the library knows."""

    @property
    def model(self) -> str: ...
    @property
    def model_path(self) -> str | Path: ...
    @property
    def folder(self) -> Path: ...


class UnknownModel(ValueError):
    """The library doesn't know a model of this name, or this project cannot use it."""


class MissingFiles(FileNotFoundError):
    """Files of a model are not on this machine."""


@dataclass(frozen=True, kw_only=True)
class Located:
    """A model on this machine.

    Args:
        name: the name by which the library knows the model.
        folder: the folder of its files.
        model_file: the file of the network, or of the vectors of words of a static model.
        dimensions: the size of its vectors. None if only the model itself knows it, or has none.
    """

    name: str
    folder: Path
    model_file: str
    dimensions: int | None

    @property
    def static(self) -> bool:
        """Whether the model is a table of vectors of words, which needs no threads."""
        return self.model_file.endswith(".safetensors")


def locate(options: FastEmbedOptions) -> Located:
    """Return where the model is that the settings name. This never uses the network.

    Raises:
        UnknownModel: the library doesn't know it.
        MissingFiles: it is not on this machine.
    """
    if options.pooling:
        folder = _complete(options.folder, [options.model_file])
        name = register(options.pooling, options.model_file, normalize=options.normalize)
        return Located(name=name, folder=folder, model_file=options.model_file, dimensions=None)
    return _known(description_of(options.model), options)


def locate_reranker(options: ModelOptions) -> Located:
    """Return where the cross-encoder is that the settings name, like `locate`."""
    return _known(description_of(options.model, TextCrossEncoder), options)


def _known(description: dict[str, Any], options: ModelOptions) -> Located:
    if options.model_path:
        folder = _complete(options.folder, _files(description))
    else:
        folder = _downloaded(description, options.folder)
    return Located(
        name=description["model"],
        folder=folder,
        model_file=description["model_file"],
        dimensions=description.get("dim"),
    )


def description_of(name: str, library: Library = TextEmbedding) -> dict[str, Any]:
    """Return what the library knows about a model: its files, dimensions, size and licence.

    Args:
        name: the name of the model.
        library: the class of the model: one that embeds, or a cross-encoder.

    Raises:
        UnknownModel: the message has the nearest names.
    """
    models = {model["model"].lower(): model for model in library.list_supported_models()}
    found: dict[str, Any] | None = models.get(name.lower())
    if found is None:
        near = difflib.get_close_matches(name.lower(), models, n=1, cutoff=0.5)
        hint = "".join(f" Did you mean {models[match]['model']!r}?" for match in near)
        if library is TextCrossEncoder:
            raise UnknownModel(f"fastembed has no cross-encoder {name!r}.{hint}")
        raise UnknownModel(
            f"fastembed has no model {name!r}.{hint} For a model that it doesn't know, set"
            " 'MODEL_PATH' and 'POOLING'."
        )
    if found.get("tasks"):
        raise UnknownModel(
            f"{found['model']!r} embeds queries and documents by different tasks, which is not"
            " supported. Choose another model."
        )
    return found


def download(name: str, cache_dir: Path) -> Path:
    """Download a model or a cross-encoder, unless it is there already, and return its folder.

    Raises:
        UnknownModel: the library doesn't know it.
        ValueError: the files cannot be downloaded.
    """
    rerankers = {model["model"].lower() for model in TextCrossEncoder.list_supported_models()}
    library: Library = TextCrossEncoder if name.lower() in rerankers else TextEmbedding
    description = description_of(name, library)
    # With lazy_load, the library downloads the model without loading it.
    library(description["model"], cache_dir=str(cache_dir), lazy_load=True)
    return _downloaded(description, cache_dir)


def register(pooling: str, model_file: str, *, normalize: bool) -> str:
    """Tell the library of a way to use a model's output, and return its name there.

    The library has one registry for the process. The folder comes when a model is loaded.
    """
    scale = "normalized" if normalize else "as is"
    name = f"wagtail-vector-index/{pooling} {scale} {model_file}"
    with _registering:
        if name not in (known["model"] for known in TextEmbedding.list_supported_models()):
            TextEmbedding.add_custom_model(
                name,
                pooling=_POOLING[pooling],
                normalization=normalize,
                sources=ModelSource(hf=name),
                dim=0,  # the library doesn't read it
                model_file=model_file,
            )
    return name


def _downloaded(description: dict[str, Any], cache_dir: Path) -> Path:
    source = description["sources"]["hf"]
    names = [*_files(description), TOKENIZER]
    paths = [try_to_load_from_cache(source, name, cache_dir=cache_dir) for name in names]
    if not all(isinstance(path, str) for path in paths):
        megabytes = round(description["size_in_GB"] * 1000)
        raise MissingFiles(
            f"the model {description['model']} ({megabytes:,} MB) is not in {cache_dir}."
        )
    return Path(str(paths[-1])).parent


def _complete(folder: Path, names: list[str]) -> Path:
    if missing := [name for name in (*names, TOKENIZER) if not (folder / name).is_file()]:
        found = sorted(str(path.relative_to(folder)) for path in folder.rglob("*.onnx"))
        there = f" Its ONNX files: {', '.join(found)}." if found else ""
        raise MissingFiles(f"the folder {folder} has no file {missing[0]!r}.{there}")
    return folder


def _files(description: dict[str, Any]) -> list[str]:
    return [description["model_file"], *description["additional_files"]]
