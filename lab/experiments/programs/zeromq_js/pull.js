// Receive messages, do the work, and print each when it is done, until killed.
"use strict"
const { parseArgs } = require("util")
const zmq = require("zeromq")
const { Tracer, sleep, print } = require("./tracing.js")

const { values: options } = parseArgs({
  options: {
    address: { type: "string", multiple: true },
    bind: { type: "boolean" },
    work: { type: "string", default: "0" },
    "die-at": { type: "string" },
    trace: { type: "boolean" },
  },
})

async function main() {
  const socket = new zmq.Pull()
  const tracer = new Tracer(options.trace, ["connected", "disconnected"])
  tracer.watch(socket)
  for (const address of options.address) {
    if (options.bind) await socket.bind(address)
    else socket.connect(address)
  }
  tracer.ready()
  for await (const [body] of socket) {
    const message = body.toString().trimEnd()
    const number = message.split(" ")[0]
    tracer.trace("received", { number })
    if (Number(options.work)) await sleep(Number(options.work))
    print(message)
    if (number === options["die-at"]) {
      tracer.trace("dies", { number })
      process.kill(process.pid, "SIGKILL")
      await sleep(60)
    }
  }
}

main()
