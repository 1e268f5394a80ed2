"""The boundary to the native core: arrays, networks, threads, files, and what values may be."""
