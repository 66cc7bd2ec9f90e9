"""How each operator is computed: by which kernel, on which views. One file for each idea, with a table of its operators."""
