"""What a model was merged from: parts, coefficients, layers, from coordinate samples alone."""
