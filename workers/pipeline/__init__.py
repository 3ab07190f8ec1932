"""From bytes to a verdict: plan, route, inputs, decide."""
