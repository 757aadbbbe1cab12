"""What is learned before any video is seen: R (Section 3.3), the Base net (4.1), and the bundled backbone.

`offline` has the loop of every training, `samples` its numbers and what it draws; `clips` and `stills` make frames with
masks of videos and photographs, with `effects`. `kinds` lists what can be trained: R, `conv5`, `baselines`, `tuning`.
`distillation` made the first backbone.
"""
