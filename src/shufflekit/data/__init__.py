"""Images and labels: sources, preprocessing, augmentation, and the loader that deals out batches."""
