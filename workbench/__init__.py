"""Shadow evaluation and migration workbench."""
