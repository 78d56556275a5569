"""Made-up input for every parser of the project; see `tests.fuzz.promise` for what is promised."""
