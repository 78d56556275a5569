"""Speech to clean words: diarize, transcribe, assign, separate the narrator, restore sentences."""
