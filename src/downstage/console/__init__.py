"""What a person sees in a terminal, and what is fit to be logged. Rich is imported only where it is drawn with."""
