"""Who descends from whom, where it can be told: steps that cannot be undone, each with how often its arrows are true."""
