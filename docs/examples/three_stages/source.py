import os
import time

import zmq

out = zmq.Context().socket(zmq.PUSH)
out.bind(os.environ["LAB_ADDRESS"])
for number in range(int(os.environ["LAB_COUNT"])):
    out.send_string(str(number))  # waits for the first stage
    print("deal", number, flush=True)
    time.sleep(float(os.environ["LAB_INTERVAL"]))
