// What both programs report on stderr: one JSON object a line.
"use strict"
const fs = require("fs")
const zmq = require("zeromq")
const { version } = require("zeromq/package.json")

const monotonic = () => Number(process.hrtime.bigint()) / 1e9
const ahead = Date.now() / 1000 - monotonic() // the wall clock may be set while this runs
const NAMES = { accept: "accepted", handshake: "connected", disconnect: "disconnected" }

class Tracer {
  constructor(tracing, names) {
    this.tracing = tracing
    this.names = names
  }

  trace(event, details = {}) {
    if (!this.tracing) return
    const m = monotonic()
    fs.writeSync(2, JSON.stringify({ t: ahead + m, m, event, ...details }) + "\n")
  }

  ready() {
    this.trace("ready", { "zeromq.js": version, libzmq: zmq.version, node: process.versions.node })
  }

  async watch(socket) {
    for await (const { type } of socket.events) {
      if (this.names.includes(NAMES[type])) this.trace(NAMES[type])
    }
  }
}

const seconds = () => ahead + monotonic()
const sleep = s => new Promise(done => setTimeout(done, s * 1000))
const print = line => fs.writeSync(1, line + "\n")

module.exports = { Tracer, seconds, sleep, print }
