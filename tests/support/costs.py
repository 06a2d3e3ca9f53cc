"""What answering a forest takes by arithmetic: each node once, and batch by batch with padding."""

from collections.abc import Sequence

from earmark.engine.answerers.shared.batches import AudioBatch
from earmark.engine.answerers.shared.cost import Cost, ModelShape
from earmark.engine.answerers.shared.forest import Forest, Tree


def least(forest: Forest) -> Cost:
    """What the forest takes, each node once and without padding."""
    encoder, decoder = forest.shape, forest.shape.decoder
    prefix = forest.prefix_tokens
    total = Cost(decoder_tokens=prefix, flops=decoder.flops(prefix, 0, 0)) if forest.trees else Cost()
    for tree in forest.trees:
        total += encoder.encoding(tree.excerpt.wave.n_samples)
        base = tree.positions + tree.stem
        if tree.is_shared:
            total += Cost(0, base, decoder.flops(base, prefix, 0))
        for piece in tree.pieces:
            tokens = len(piece.tokens) - tree.stem + (0 if tree.is_shared else base)
            past = prefix + (base if tree.is_shared else 0)
            total += Cost(0, tokens, decoder.flops(tokens, past, 1))
    return total


def with_padding(forest: Forest, batches: Sequence[AudioBatch]) -> Cost:
    """What running these batches takes, padding included, the prefix too."""
    shape, decoder, prefix = forest.shape, forest.shape.decoder, forest.prefix_tokens
    total = Cost(decoder_tokens=prefix, flops=decoder.flops(prefix, 0, 0)) if batches else Cost()
    for batch in batches:
        total += _encoding(shape, batch)
        if batch.is_shared:
            rows, length = len(batch.trees), max(_base(h) for h in batch.trees)
            total += Cost(0, rows * length, rows * decoder.flops(length, prefix, 0))
            past = prefix + length
        for asked in batch.pieces:
            if batch.is_shared:
                tokens = max(len(a.piece.tokens) - batch.trees[a.row].stem for a in asked)
            else:
                tokens, past = max(_whole(batch.trees[a.row]) for a in asked), prefix
            total += Cost(0, len(asked) * tokens, len(asked) * decoder.flops(tokens, past, 1))
    return total


def _encoding(shape: ModelShape, batch: AudioBatch) -> Cost:
    encoder = shape.encoder
    pieces = [n for h in batch.trees for n in shape.pieces(h.excerpt.wave.n_samples)]
    if encoder.window_frames is not None:  # windows of one length, the last of each piece cut to the longest there is
        window = encoder.window_frames
        lengths = [min(window, f - i) for f in map(encoder.valid_frames, pieces) for i in range(0, f, window)]
        longest = max(lengths) + max(lengths) % 2
        return Cost(len(lengths) * longest, 0, len(lengths) * encoder.flops(longest))
    longest = max(encoder.run_frames(encoder.valid_frames(n)) for n in pieces)
    return Cost(len(pieces) * longest, 0, len(pieces) * encoder.flops(longest))


def _base(tree: Tree) -> int:
    return tree.positions + tree.stem


def _whole(tree: Tree) -> int:
    return tree.positions + len(tree.pieces[0].tokens)
