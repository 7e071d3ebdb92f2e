"""Makes small models: files in the form of a real one, with vectors drawn by chance."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from safetensors.numpy import save_file
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors, trainers

WORDS = ["how to bake bread", "knead the dough", "the train leaves", "passage query"] * 3
SPECIAL = ["[PAD]", "[CLS]", "[SEP]"]
LIMIT = 64


def tokenizer(*, lower: bool = False) -> Tokenizer:
    """A tokenizer that splits any text into words it knows, and others into bytes."""
    made = Tokenizer(models.BPE())
    if lower:
        made.normalizer = normalizers.Lowercase()
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=400, show_progress=False, special_tokens=SPECIAL, initial_alphabet=alphabet
    )
    made.train_from_iterator(WORDS, trainer)
    made.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair="[CLS] $A [SEP] $B:1 [SEP]:1",
        special_tokens=[("[CLS]", 1), ("[SEP]", 2)],
    )
    return made


def network(table: np.ndarray[Any, Any], *, pooled: bool = False) -> onnx.ModelProto:
    """A network: a token's vector is its own plus the mean of all, as if it knew the others.

    So padding, which a real model masks, would change all vectors.
    """
    last = ["batch"] if pooled else ["batch", "tokens"]
    nodes = [
        helper.make_node("Gather", ["table", "input_ids"], ["own"]),
        helper.make_node("ReduceMean", ["own"], ["mean"], axes=[1], keepdims=0 if pooled else 1),
    ]
    if not pooled:
        nodes.append(helper.make_node("Add", ["own", "mean"], ["vectors"]))
    ids = [
        helper.make_tensor_value_info(name, TensorProto.INT64, ["batch", "tokens"])
        for name in ("input_ids", "attention_mask")
    ]
    output = "mean" if pooled else "vectors"
    vectors = helper.make_tensor_value_info(output, TensorProto.FLOAT, [*last, table.shape[1]])
    weights = [numpy_helper.from_array(table, "table")]
    graph = helper.make_graph(nodes, "tiny", ids, [vectors], weights)
    opset = [helper.make_opsetid("", 17)]
    return helper.make_model(graph, opset_imports=opset, ir_version=8)


def make_model(
    folder: Path,
    *,
    dimensions: int = 24,
    lower: bool = False,
    pooled: bool = False,
    file: str = "model.onnx",
) -> Path:
    """Write a model into a folder and return the folder."""
    (folder / file).parent.mkdir(parents=True, exist_ok=True)
    made = tokenizer(lower=lower)
    made.save(str(folder / "tokenizer.json"))
    texts = {
        "config.json": {"pad_token_id": 0},
        "special_tokens_map.json": {"pad_token": "[PAD]"},
        "tokenizer_config.json": {"model_max_length": LIMIT, "pad_token": "[PAD]"},
    }
    for name, content in texts.items():
        (folder / name).write_text(json.dumps(content), encoding="utf-8")
    table = np.random.default_rng(7).normal(size=(made.get_vocab_size(), dimensions))
    table = table.astype(np.float32)
    if file.endswith(".onnx"):
        onnx.save(network(table, pooled=pooled), str(folder / file))
    else:
        save_file({"embeddings": table}, folder / file)
    return folder


def make_downloaded(cache: Path, repository: str, **model: Any) -> Path:
    """Write a model as the library's downloads are kept, and return its folder."""
    kept = cache / f"models--{repository.replace('/', '--')}"
    (kept / "refs").mkdir(parents=True)
    (kept / "refs" / "main").write_text("abc", encoding="utf-8")
    return make_model(kept / "snapshots" / "abc", **model)
