"""Times CTranslate2 on a random Transformer; run by the Python that has it: peer.py SOURCES.json
LAYERS WIDTH HEADS INNER BEAM BATCH.

Prints seconds, processor seconds and target pieces (ends counted) as JSON. Nothing of nmt is
imported.
"""

import json
import sys
import tempfile
import time
from typing import Any

import ctranslate2  # type: ignore[import-not-found, unused-ignore]
import numpy as np
from ctranslate2.specs import TransformerSpec  # type: ignore[import-not-found, unused-ignore]

generator = np.random.default_rng(0)


def linear(spec: Any, rows: int, columns: int) -> None:
    spec.weight = (generator.standard_normal((rows, columns)) * columns**-0.5).astype("float32")
    spec.bias = np.zeros(rows, "float32")


def norm(spec: Any, width: int) -> None:
    spec.gamma, spec.beta = np.ones(width, "float32"), np.zeros(width, "float32")


def random_transformer(
    vocabulary: list[str], layers: int, width: int, heads: int, inner: int
) -> Any:
    embedding = (generator.standard_normal((len(vocabulary), width)) * width**-0.5).astype(
        "float32"
    )
    spec = TransformerSpec.from_config((layers, layers), heads, pre_norm=True)
    for side in (spec.encoder, spec.decoder):
        (
            side.embeddings[0] if isinstance(side.embeddings, list) else side.embeddings
        ).weight = embedding
        side.position_encodings.encodings = (generator.standard_normal((512, width)) * 0.02).astype(
            "float32"
        )
        norm(side.layer_norm, width)
        for layer in side.layer:
            blocks = [
                layer.self_attention,
                *([layer.attention] if hasattr(layer, "attention") else []),
                layer.ffn,
            ]
            for block in blocks:
                norm(block.layer_norm, width)
            linear(layer.self_attention.linear[0], 3 * width, width)
            linear(layer.self_attention.linear[1], width, width)
            if hasattr(layer, "attention"):
                for number, rows in enumerate((width, 2 * width, width)):
                    linear(layer.attention.linear[number], rows, width)
            linear(layer.ffn.linear_0, inner, width)
            linear(layer.ffn.linear_1, width, inner)
    spec.decoder.projection.weight, spec.decoder.projection.bias = (
        embedding,
        np.zeros(len(vocabulary), "float32"),
    )
    spec.register_source_vocabulary(vocabulary)
    spec.register_target_vocabulary(vocabulary)
    spec.validate()
    spec.optimize(quantization="int8")
    return spec


def main() -> None:
    with open(sys.argv[1], encoding="utf-8") as file:
        sources = json.load(file)
    layers, width, heads, inner, beam, batch = map(int, sys.argv[2:])
    vocabulary = ["<blank>", "<unk>", "<s>", "</s>", *map(str, range(4, 8000))]
    with tempfile.TemporaryDirectory() as folder:
        random_transformer(vocabulary, layers, width, heads, inner).save(folder)
        translator = ctranslate2.Translator(
            folder, device="cpu", compute_type="int8", inter_threads=1, intra_threads=1
        )
    lines = [[str(piece) for piece in source] for source in sources]
    settings = {
        "beam_size": beam,
        "max_batch_size": batch,
        "min_decoding_length": 15,
        "max_decoding_length": 16,
    }
    translator.translate_batch(lines[:64], **settings)
    start, start_cpu = time.perf_counter(), time.process_time()
    results = translator.translate_batch(lines, **settings)
    seconds, cpu = time.perf_counter() - start, time.process_time() - start_cpu
    print(
        json.dumps(
            {
                "seconds": seconds,
                "cpu": cpu,
                "pieces": sum(len(result.hypotheses[0]) + 1 for result in results),
            }
        )
    )


if __name__ == "__main__":
    main()
