// Send numbered messages in turn to all receivers that connect.
"use strict"
const { parseArgs } = require("util")
const zmq = require("zeromq")
const { Tracer, seconds, sleep, print } = require("./tracing.js")

const { values: options } = parseArgs({
  options: {
    address: { type: "string", multiple: true },
    connect: { type: "boolean" },
    count: { type: "string", default: "20" },
    first: { type: "string", default: "0" },
    interval: { type: "string", default: "1" },
    delay: { type: "string", default: "0" },
    size: { type: "string", default: "0" },
    trace: { type: "boolean" },
  },
})

async function main() {
  const socket = new zmq.Push()
  const tracer = new Tracer(options.trace, ["accepted", "connected", "disconnected"])
  tracer.watch(socket)
  for (const address of options.address) {
    if (options.connect) socket.connect(address)
    else await socket.bind(address)
  }
  tracer.ready()
  await sleep(Number(options.delay))
  const first = Number(options.first)
  for (let x = first; x < first + Number(options.count); x++) {
    const message = `${x} , ${seconds().toFixed(6)}`
    print(x)
    await socket.send(message.padEnd(Number(options.size)))
    tracer.trace("sent", { number: x, text: message })
    await sleep(Number(options.interval))
  }
  socket.close() // which ends its events, and then the program, once all is out
}

main()
