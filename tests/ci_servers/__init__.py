"""CIs of our own, over real HTTP: CircleCI held to its published contract, GitHub built to its documented shapes."""
