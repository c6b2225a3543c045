"""The operator's limits: who may begin, how much at once, how often, for how much, and for how long."""
