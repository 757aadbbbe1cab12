"""Files in and out: images, masks, films, data sets; written whole or not at all. Knows nothing of networks."""
