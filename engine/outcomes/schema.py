"""The row of a cell: its columns, which of them are needed, and what the metadata of a cell's file holds.

How a cell is named, `design.keys` knows; `store` reads and writes both.
"""

import pyarrow as pa

SCHEMA_VERSION = "earmark.outcomes/1"
SCHEMA_KEY = b"earmark.schema"
PLAN_KEY = b"earmark.plan"  # in the metadata of a cell that a sweep wrote: the SHA-256 of its plan.json

ROW = pa.schema(
    [
        pa.field("sample_id", pa.string(), nullable=False),
        pa.field("source_id", pa.string()),  # default: the sample itself
        pa.field("query_family", pa.string(), nullable=False),
        pa.field("loss", pa.float64()),  # in [0, 1]; null only where status is not "ok"
        pa.field("nll", pa.float64()),  # of the right answer, in nats
        pa.field("seconds_heard", pa.float64()),  # what is really used: of audio, ...
        pa.field("bits_sent", pa.int64()),
        pa.field("num_audio_tokens", pa.int64()),  # ... positions of the audio, ...
        pa.field("lm_positions", pa.int64()),  # ... all positions of the language model, text included, ...
        pa.field("flops", pa.int64()),  # ... and operations of one question by itself
        pa.field("predicted_label", pa.string()),  # null: nothing could be parsed
        pa.field("correct_label", pa.string()),
        pa.field("n_options", pa.int64()),  # answers to choose from
        pa.field("chunks_total", pa.int64()),
        pa.field("chunks_kept", pa.int64()),
        pa.field("kept_chunks", pa.list_(pa.int16())),  # which of them, rising
        pa.field("kept_hash", pa.string()),
        pa.field("status", pa.string()),  # "ok" (the default) or what went wrong
    ]
)
USED_COLUMNS = ("seconds_heard", "bits_sent", "num_audio_tokens", "lm_positions", "flops")  # what is really used
REQUIRED_COLUMNS = ("sample_id", "query_family", "loss")
