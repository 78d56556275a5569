"""Films and how-to videos to clean text, features and models.

The library imports no Ray: everything here runs in a notebook. The Ray layers
(`pipelines`, later `train` and `serve`) are thin and call into it.
"""

__version__ = "0.1.0"
