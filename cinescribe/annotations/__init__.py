"""The public captioned data sets, each read by one file, as one small set of types."""
