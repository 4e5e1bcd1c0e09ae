"""The shells around asr: the command line, Ray actors, servers. No tensor arithmetic here."""
