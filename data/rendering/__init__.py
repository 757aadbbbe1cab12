"""The workshop behind `data/render_scenes.py`: materials, toys, places, scenes and the renderer, all procedural."""
