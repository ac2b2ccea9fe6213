"""One small class per stage: `plan` only reads, `apply` acts.

Both say what they found.

A stage composes primitives and leaves what later stages need in its result, so that they find it also on another
machine. Nothing is skipped without a reason.
"""

__all__ = []
