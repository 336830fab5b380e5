"""Question in, cited answer or an honest refusal out. Knows nothing of conversations."""
