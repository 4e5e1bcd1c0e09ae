"""One page that shows a result: numbers, plots, every utterance with its alignment and sound."""
