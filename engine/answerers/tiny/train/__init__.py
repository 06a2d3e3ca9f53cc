"""How the embedded answerer is made from nothing: `python -m earmark.engine.answerers.tiny.train`."""
