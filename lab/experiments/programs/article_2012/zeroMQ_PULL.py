#!/usr/bin/python
 
import zmq
 
ctx = zmq.Context()
pull_socket = ctx.socket(zmq.PULL)
 
pull_socket.connect('tcp://192.168.0.161:1234')
 
 
while True:
    msg = pull_socket.recv()
    print msg
