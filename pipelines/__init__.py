"""Jobs on Ray Data that take films to tables; the work itself is in `cinescribe`."""
