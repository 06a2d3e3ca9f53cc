"""One small file per benchmark: its layout as it is really distributed, read into examples."""
