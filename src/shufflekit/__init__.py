"""Small convolutional networks that are fast by the stopwatch."""
