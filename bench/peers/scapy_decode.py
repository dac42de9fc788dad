# Decodes the packet of packet.hex with scapy, for the benchmark:
# scapy_decode.py ROLE SECONDS PORT, of which only the seconds count.
# SPDX-License-Identifier: MIT

import pathlib
import sys
import time

from scapy.layers.inet import IP, TCP
from scapy.layers.l2 import Ether

packet = bytes.fromhex(
    pathlib.Path(__file__).with_name("packet.hex").read_text())
assert Ether(packet)[IP][TCP].dport == 80

seconds = float(sys.argv[2])
n = 1000
while True:
    wall, cpu = time.monotonic(), time.process_time()
    for _ in range(n):
        Ether(packet)
    cpu, wall = time.process_time() - cpu, time.monotonic() - wall
    if cpu >= seconds:
        print(f"ops={n} wall={wall:.9f} cpu={cpu:.9f}")
        break
    n = int(n * min(10, 1.2 * seconds / max(cpu, 1e-4))) + 1
