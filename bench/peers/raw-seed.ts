/**
 * The sending side of the raw limit: PATH SIZE. Sends the file to whoever connects.
 * @module
 */
import { openSync, read } from "node:fs"
import { type AddressInfo, createServer, type Socket } from "node:net"
import { promisify } from "node:util"
import { hear, say } from "./lines.ts"

const BUFFER_BYTES = 1024 * 1024
const readAt = promisify(read)
const path = process.argv[2]!
const sizeBytes = Number(process.argv[3])
const file = openSync(path, "r")

/** Two buffers take turns: one is being written to the socket while the other is filled. */
async function send(socket: Socket): Promise<void> {
  const written: Promise<void>[] = [Promise.resolve(), Promise.resolve()]
  const buffers = written.map(() => Buffer.allocUnsafeSlow(BUFFER_BYTES))
  for (let at = 0, turn = 0; at < sizeBytes; turn ^= 1) {
    await written[turn]
    const { bytesRead } = await readAt(file, buffers[turn]!, 0, BUFFER_BYTES, at)
    at += bytesRead
    const part = buffers[turn]!.subarray(0, bytesRead)
    written[turn] = new Promise((resolve) => socket.write(part, () => resolve()))
  }
  socket.end()
}

const server = createServer((socket) => {
  socket.on("error", () => socket.destroy())
  void send(socket)
})
server.listen(0, "127.0.0.1", async () => {
  say({ event: "ready", port: (server.address() as AddressInfo).port })
  await hear()
  process.exit(0)
})
