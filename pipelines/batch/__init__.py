"""Folders to transcripts on Ray: a ledger on disk, a pool of workers, and the loop between them."""
