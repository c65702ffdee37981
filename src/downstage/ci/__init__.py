"""CircleCI, GitHub and commands of the user: they deploy, start refreshes on time, and carry long ones on."""
