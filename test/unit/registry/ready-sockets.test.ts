import { once } from "node:events"
import { type AddressInfo, createServer, type Server, type Socket } from "node:net"
import { buildConnector } from "undici"
import { afterEach, beforeEach, describe, expect, test } from "vitest"
import { VirtualClock } from "../../../src/core/virtual-clock.ts"
import { ReadySockets } from "../../../src/registry/upstream/ready-sockets.ts"
import { until } from "./world.ts"

const CONNECT_MS = 2_000

describe("connections that stand before they are needed", () => {
  let server: Server
  let url: URL
  let accepted: Socket[]
  let clock: VirtualClock
  let opened: number
  let sockets: ReadySockets

  beforeEach(async () => {
    accepted = []
    server = createServer((socket) => {
      accepted.push(socket)
      socket.on("error", () => {})
    })
    server.listen(0, "127.0.0.1")
    await once(server, "listening")
    url = new URL(`http://127.0.0.1:${(server.address() as AddressInfo).port}`)
    clock = new VirtualClock()
    opened = 0
    const connector = buildConnector({ timeout: CONNECT_MS })
    sockets = new ReadySockets({ clock }, (options, callback) => {
      opened++
      connector(options, callback)
    })
  })
  afterEach(() => {
    sockets.close()
    for (const socket of accepted) socket.destroy()
    server.close()
  })

  const take = (): Promise<Socket> =>
    new Promise((resolve, reject) => {
      const { host, hostname, protocol, port } = url
      sockets.connect({ host, hostname, protocol, port }, (...[error, socket]) => {
        if (error === null) resolve(socket)
        else reject(error)
      })
    })

  test("are opened as many as were asked for, and taken before others are opened", async () => {
    sockets.prepare(url, 3)
    await until(() => accepted.length === 3, "3 are accepted")
    const taken = [await take(), await take(), await take()]
    expect(opened).toBe(3)
    taken.push(await take())
    expect(opened).toBe(4)
    for (const socket of taken) socket.destroy()
  })

  test("can be taken before they stand", async () => {
    sockets.prepare(url, 1)
    const socket = await take()
    expect(socket.remotePort).toBe(Number(url.port))
    expect(opened).toBe(1)
    socket.destroy()
  })

  test("are as many as were asked for, however often", async () => {
    sockets.prepare(url, 2)
    sockets.prepare(url, 2)
    expect(opened).toBe(2)
    const socket = await take()
    sockets.prepare(url, 2)
    expect(opened).toBe(3)
    socket.destroy()
  })

  test("are closed when nobody took them for four seconds", async () => {
    sockets.prepare(url, 2)
    await until(() => accepted.length === 2, "2 are accepted")
    const ended = accepted.map((socket) => once(socket.resume(), "close"))
    await clock.advance(4_000)
    await Promise.all(ended)
    const socket = await take()
    expect(opened).toBe(3)
    socket.destroy()
  })

  test("that the other side closed are not given to anybody", async () => {
    sockets.prepare(url, 1)
    await until(() => accepted.length === 1, "1 are accepted")
    accepted[0]!.destroy()
    await until(() => {
      sockets.prepare(url, 1)
      return opened === 2
    }, "the closed one is let go")
    await until(() => accepted.length === 2, "2 are accepted")
    const socket = await take()
    expect(socket.destroyed).toBe(false)
    expect(opened).toBe(2)
    socket.destroy()
  })

  test("that cannot be opened tell only who took one", async () => {
    server.close()
    await once(server, "close")
    sockets.prepare(url, 1)
    await expect(take()).rejects.toThrow("ECONNREFUSED")
    sockets.prepare(url, 1)
    await until(() => opened === 2, "a second one is opened")
    await expect(take()).rejects.toThrow("ECONNREFUSED")
  })

  test("are closed with their owner", async () => {
    sockets.prepare(url, 2)
    await until(() => accepted.length === 2, "2 are accepted")
    const ended = accepted.map((socket) => once(socket.resume(), "close"))
    sockets.close()
    await Promise.all(ended)
    expect(accepted.every(({ destroyed }) => destroyed)).toBe(true)
  })
})
