#!/usr/bin/python
 
import zmq
import time
 
 
ctx = zmq.Context()
push_socket= ctx.socket(zmq.PUSH)
 
push_socket.bind('tcp://*:1234')
 
 
for x in range(20):
    msg = str(x) + " , " + str(time.time())
    print x
    push_socket.send(msg)
    #Pause 1 second
    time.sleep(1)
