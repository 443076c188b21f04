import os
import time

import zmq

socket = zmq.Context().socket(zmq.REQ)
socket.connect(os.environ["LAB_ADDRESS"])
for number in range(int(os.environ["LAB_COUNT"])):
    print("ask", number, flush=True)
    asked = time.perf_counter()
    socket.send_string(str(number))
    socket.recv()
    print(f"reply {number} after {1000 * (time.perf_counter() - asked):.3f} ms", flush=True)
    time.sleep(float(os.environ["LAB_INTERVAL"]))
