"""How often verdicts and intervals are right, by simulation of runs whose truth is known."""
