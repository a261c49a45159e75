"""The files of the bundled model; `steppe.core.bundled` says where they lie."""
