"""Words become txt, json, srt, vtt, ctm and tsv."""
