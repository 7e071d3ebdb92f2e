"""The shape that collections are made with, and the check of one that exists."""

from __future__ import annotations

from typing import Any

from qdrant_client import models

from wagtail_vector_index.contract import CollectionSpec, FieldType, Metric
from wagtail_vector_index.exceptions import CollectionMismatch

from .naming import is_vector_name, vector_name
from .options import QdrantOptions

DISTANCES: dict[Metric, models.Distance] = {
    "cosine": models.Distance.COSINE,
    "dot": models.Distance.DOT,
    "euclidean": models.Distance.EUCLID,
}

SCHEMAS: dict[FieldType, models.PayloadSchemaType] = {
    "str": models.PayloadSchemaType.KEYWORD,
    "int": models.PayloadSchemaType.INTEGER,
    "float": models.PayloadSchemaType.FLOAT,
    "bool": models.PayloadSchemaType.BOOL,
    "datetime": models.PayloadSchemaType.DATETIME,
    "list[str]": models.PayloadSchemaType.KEYWORD,
    "list[int]": models.PayloadSchemaType.INTEGER,
}


def shape(spec: CollectionSpec, options: QdrantOptions) -> dict[str, Any]:
    """Return the arguments of ``create_collection``, except the name.

    Vectors are not indexed before `optimize`: after a bulk fill, the index is built only
    once.
    """
    params = models.VectorParams(
        size=spec.dimensions, distance=DISTANCES[spec.metric], on_disk=options.on_disk or None
    )
    return {
        "vectors_config": {vector_name(spec): params},
        "shard_number": options.shard_number,
        "replication_factor": options.replication_factor,
        "write_consistency_factor": options.write_consistency_factor,
        "hnsw_config": models.HnswConfigDiff(**options.hnsw) if options.hnsw else None,
        "optimizers_config": models.OptimizersConfigDiff(indexing_threshold=0),
        "quantization_config": _quantization(options),
        # The server waits so long for nodes that are away, and then makes the collection without
        # them.
        "timeout": max(1, options.server_timeout // 3),
    }


def check_own(spec: CollectionSpec, info: models.CollectionInfo, where: str) -> None:
    """Raise CollectionMismatch unless this backend made a collection, with whatever fields."""
    vectors = info.config.params.vectors
    # A collection of sparse vectors alone has none of these.
    if not (vectors and isinstance(vectors, dict) and all(map(is_vector_name, vectors))):
        raise CollectionMismatch(
            f"{where} has a collection {spec.name!r} that another program made. It stays as it is."
            " Set COLLECTION_PREFIX to one that nothing else uses."
        )


def check_shape(spec: CollectionSpec, info: models.CollectionInfo, where: str) -> None:
    """Raise CollectionMismatch unless a collection has the shape of its spec."""
    vectors = info.config.params.vectors
    found = vectors.get(vector_name(spec)) if isinstance(vectors, dict) else None
    if found is None:
        raise CollectionMismatch(
            f"{where} has {spec.name!r} with other fields than"
            f" {', '.join(f'{name} ({type_})' for name, type_ in spec.fields.items()) or 'none'}."
            " Drop it, or choose another name."
        )
    wanted = (spec.dimensions, DISTANCES[spec.metric])
    if (found.size, found.distance) != wanted:
        raise CollectionMismatch(
            f"{where} has {spec.name!r} with {found.size} dimensions and the distance"
            f" {found.distance.value}, not {wanted[0]} and {wanted[1].value}."
            " Drop it, or choose another name."
        )


def _quantization(options: QdrantOptions) -> Any:
    always_ram = options.quantization_always_ram
    if options.quantization == "scalar":
        return models.ScalarQuantization(
            scalar=models.ScalarQuantizationConfig(
                type=models.ScalarType.INT8, always_ram=always_ram
            )
        )
    if options.quantization == "binary":
        return models.BinaryQuantization(
            binary=models.BinaryQuantizationConfig(always_ram=always_ram)
        )
    if options.quantization == "product":
        compression = models.CompressionRatio(options.quantization_compression)
        return models.ProductQuantization(
            product=models.ProductQuantizationConfig(compression=compression, always_ram=always_ram)
        )
    return None
