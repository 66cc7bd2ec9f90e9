"""From a graph to a program: channel views, kernels, memory, packed weights."""
