"""A sentence encoder of two small layers with random weights, saved as any encoder is: safetensors and a tokenizer."""

from collections.abc import Iterable
from pathlib import Path


def save_encoder(folder: Path, words: Iterable[str]) -> Path:
    """A BERT that knows these words."""
    import torch
    from transformers import BertConfig, BertModel, BertTokenizerFast

    folder.mkdir(parents=True, exist_ok=True)
    known = sorted(set(words))
    vocabulary = folder / "vocab.txt"
    vocabulary.write_text("\n".join(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *known]))
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=len(known) + 5,
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=64,
        max_position_embeddings=64,
    )
    BertModel(config).save_pretrained(folder)
    BertTokenizerFast(str(vocabulary)).save_pretrained(folder)
    return folder
