"""A release from its first look to its last word: the pipeline, the run it carries out, and how a run ends."""
