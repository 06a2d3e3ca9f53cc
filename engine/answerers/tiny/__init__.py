"""The embedded answerer: a folder of a small Qwen2-Audio, like any downloaded one; its card is README.md."""
