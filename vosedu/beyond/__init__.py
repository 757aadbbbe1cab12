"""Where the paper's method ends and ours begins: switches of the preset BEST that need more than a line in the engine,
and what only makes it faster."""
