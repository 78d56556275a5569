"""Descriptions of films as people hear them: where a sentence is spoken, and the track that speaks it."""
