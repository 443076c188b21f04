import sys

import zmq

context = zmq.Context()
source, sink = context.socket(zmq.PULL), context.socket(zmq.PUSH)
source.connect(sys.argv[1])
sink.connect(sys.argv[2])
while True:
    message = source.recv_string()
    print("work", message, flush=True)
    sink.send_string(message)
