"""The model and its answers: who is asked when, and the forms an answer takes."""
