/**
 * A hostile Sealift peer: DIRECTORY DIGEST ADDRESS KIND PATH. It says that it has the whole blob, as a
 * seeder does, and then does what its kind says; PATH holds the true bytes.
 * @module
 */
import { readFileSync } from "node:fs"
import { rogueStore, type Tricks } from "../../test/unit/swarm/rogue-store.ts"
import type { RogueKind } from "../contenders/mesh.ts"
import { hear, say } from "./lines.ts"
import { startPeer } from "./sealift-peer.ts"

const [directory, , address, kind, path] = process.argv.slice(2) as [
  string,
  string,
  string,
  RogueKind,
  string,
]
let sentBytes = 0
const garble = (bytes: Uint8Array) => {
  sentBytes += bytes.length
  for (let at = 0; at < bytes.length; at++) bytes[at]! ^= 0xff
}
const TRICKS: Readonly<Record<RogueKind, Tricks>> = {
  garbage: { garble },
  "wrong-list": { garble, isListGarbled: true },
  stall: { isStuck: true },
  "false-have": { isEmpty: true },
}

const contents = readFileSync(path)
const peer = await startPeer(directory, {
  address,
  bend: (store) => rogueStore(store, TRICKS[kind], contents),
})
say({ event: "ready", address: peer.net.addresses()[0], id: peer.net.id })
await hear()
say({ event: "sent", sentBytes })
await hear()
process.exit(0)
