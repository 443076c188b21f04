import time

import zmq

socket = zmq.Context().socket(zmq.REP)
socket.bind("tcp://*:1234")
while True:
    number, began = socket.recv_string(), time.perf_counter()
    time.sleep(0.05 if number.endswith("9") else 0)
    print(f"served {number} in {1000 * (time.perf_counter() - began):.3f} ms", flush=True)
    socket.send_string("done")
