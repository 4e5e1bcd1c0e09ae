"""Words from sound with one recurrent model. `import asr` does no work: names load when they are first asked for."""
