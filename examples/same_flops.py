"""Networks of about the same FLOPs, and how differently they use memory: why FLOPs alone do not tell the speed.

python examples/same_flops.py
"""

from __future__ import annotations

import shufflekit as sk

NETWORKS = (
    "shufflenet_v2_x1_0",
    "shufflenet_v1_g1_x1_0",
    "shufflenet_v1_g3_x1_0",
    "shufflenet_v1_g8_x1_0",
    "mobilenet_v1_x0_5",
)


def main() -> None:
    print(f"{'network':<22} {'FLOPs, M':>9} {'memory access, M':>17} {'FLOPs an access':>16}")
    for name in NETWORKS:
        cost = sk.profile(sk.create_model(name), (1, 3, 224, 224))
        print(f"{name:<22} {cost.flops / 1e6:>9.1f} {cost.mac / 1e6:>17.1f} {cost.flops / cost.mac:>16.1f}")


if __name__ == "__main__":
    main()
