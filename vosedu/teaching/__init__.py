"""What the notebooks show and ask: a module per notebook, of its name, with its widgets and its exercises."""

NOTEBOOKS = ("tour", "features", "weighted_l2_loss", "gauss_newton_cg", "augmentation", "refinement", "inference_and_updating",
             "offline_training", "evaluation", "your_own_video", "your_engine")
