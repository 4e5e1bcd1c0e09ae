"""Files, bytes and pipes become samples: float32, mono, 16 kHz."""
