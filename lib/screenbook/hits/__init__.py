"""Which treatments bring diseased cells back towards health, with the evidence for and against."""
