#!/bin/sh
# Guess:   `send` is asynchronous: a second one while the first still waits for a worker queues, or
#          returns a promise that is rejected, which `.catch` sees.
# Happens: the call itself throws EBUSY, before there is a promise. With a worker there, many sends
#          in a row succeed, so it shows first on the day when no worker is up.
# Source:  zeromq.js 6, README ("sending is blocking until ..."), and measured.
set -eu
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
cd "$work"; npm init --yes >/dev/null; npm install --silent zeromq@6.8.0 >/dev/null 2>&1
cat >send.mjs <<'JAVASCRIPT'
import { readFileSync } from "node:fs"
import { Push } from "zeromq"

const version = JSON.parse(readFileSync("node_modules/zeromq/package.json")).version
const push = new Push()
await push.bind("tcp://127.0.0.1:*")
push.send("0").catch(() => {})  // no worker is there: it waits
let seen
try {
  push.send("1").catch(() => {})
  seen = "a promise"
} catch (error) {
  seen = `thrown ${error.code}`
}
console.log(`zeromq ${version}, node ${process.version}: ${seen}`)
process.exit(seen === "thrown EBUSY" ? 0 : 1)
JAVASCRIPT
node send.mjs
