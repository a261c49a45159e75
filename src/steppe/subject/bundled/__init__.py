"""The files of the bundled subject; `steppe.core.bundled` says where they lie."""
