"""What all tests share: Hypothesis without deadlines, since machines here are noisy."""

import hypothesis

hypothesis.settings.register_profile("tomocurate", deadline=None, max_examples=60, database=None)
hypothesis.settings.load_profile("tomocurate")
