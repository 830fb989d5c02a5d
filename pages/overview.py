"""Overview: which task can move, how far, how sure that is, what it saves, what to do next."""

from workbench.ui import overview

overview.show()
