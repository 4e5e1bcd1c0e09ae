"""Many live streams on Ray: capture, features, recogniser and output as actors, sessions between them."""
