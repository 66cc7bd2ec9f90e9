"""The compiled part of shufflekit."""



def instruction_sets() -> list[str]:
    """
    Instruction sets that kernels are compiled for and that run here, best first; the last is 'scalar'.
    """

def vector_features() -> list[str]:
    """Vector instructions that the processor offers, used or not."""

def multiply_add_rates(instruction_set: str, threads: int, window_ms: float, repeats: int) -> list[float]:
    """
    float32 multiply-adds a second of all threads together, one number a repeat.
    """

def copy_rates(instruction_set: str, threads: int, working_set_bytes: int, window_ms: float, repeats: int) -> list[float]:
    """
    Bytes read plus bytes written a second of all threads together, each copying half of its own working set.
    """
