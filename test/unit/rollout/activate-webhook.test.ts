/** Web hooks: one POST to a server that is allowed, and no further. */
import { createServer, type RequestListener, type Server } from "node:http"
import type { AddressInfo } from "node:net"
import { afterEach, beforeEach, describe, expect, test } from "vitest"
import { VirtualClock } from "../../../src/core/virtual-clock.ts"
import { createActivator } from "../../../src/rollout/activator.ts"
import { ALLOW_NOTHING } from "../../../src/rollout/allowing.ts"
import { releaseAt } from "../../support/opened-release.ts"

const target = releaseAt("/opened/model", 3)
let server: Server
let origin: string
let clock: VirtualClock
let asked: { method: string; url: string; type: string | undefined; body: string }[]
let answer: RequestListener
let onAsked: () => void

beforeEach(async () => {
  clock = new VirtualClock()
  asked = []
  onAsked = () => {}
  answer = (_, response) => response.end("thanks")
  server = createServer(async (request, response) => {
    const body = Buffer.concat(await request.toArray()).toString()
    const { method = "", url = "", headers } = request
    asked.push({ method, url, type: headers["content-type"], body })
    answer(request, response)
    onAsked()
  })
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve))
  origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
})
afterEach(async () => {
  server.closeAllConnections()
  await new Promise((resolve) => server.close(resolve))
})

const activator = (allowed = origin) =>
  createActivator({
    node: "12D3KooWNode",
    clock,
    allow: () => ({ ...ALLOW_NOTHING, webhook: [allowed] }),
    openedFolder: "/opened",
    run: async () => ({ fault: undefined, stdout: "", tail: "" }),
  })
const hook = (path: string) =>
  ({ kind: "webhook", url: `${origin}${path}`, timeoutMs: 5_000 }) as const
const options = { signal: new AbortController().signal }
const failedWith = (message: string) => ({
  code: "ACTIVATION_FAILED",
  message: expect.stringContaining(message),
})

describe("a web hook", () => {
  test("is told what is to run, where, and on which node", async () => {
    await activator().activate(hook(`/a/\${release}?node=\${node}`), target, options)
    expect(asked).toEqual([
      {
        method: "POST",
        url: "/a/acme%2Fmodel%403?node=12D3KooWNode",
        type: "application/json",
        body: expect.any(String),
      },
    ])
    expect(JSON.parse(asked[0]!.body)).toEqual({
      ...{ v: 1, act: "activate", node: "12D3KooWNode", release: "acme/model@3" },
      ...{ digest: target.release.digest, path: "/opened/model" },
    })
  })

  test("is told when it is to be taken away", async () => {
    await activator().deactivate(hook("/a"), options)
    expect(JSON.parse(asked[0]!.body)).toEqual({ v: 1, act: "deactivate", node: "12D3KooWNode" })
    expect(await activator().isRunning(hook("/a"), target, options)).toBe("unknown")
  })

  test("is not called where the node does not allow it", async () => {
    const refused = activator("https://hooks.example").activate(hook("/a"), target, options)
    await expect(refused).rejects.toMatchObject({ code: "ACTIVATION_REFUSED" })
    expect(asked).toEqual([])
  })

  test("that leads elsewhere is not followed", async () => {
    answer = (_, response) => response.writeHead(307, { location: `${origin}/secret` }).end()
    await expect(activator().activate(hook("/a"), target, options)).rejects.toMatchObject(
      failedWith("it answered 307"),
    )
    expect(asked).toHaveLength(1)
  })

  test("that fails says how, and no more than is shown is read of it", async () => {
    answer = (_, response) => {
      response.writeHead(500)
      const flood = () => {
        while (!response.destroyed && response.write(`no\u001b[31m ${"x".repeat(65_536)}`));
      }
      response.on("drain", flood)
      flood()
    }
    const error = await activator()
      .activate(hook("/a"), target, options)
      .catch((reason: Error) => reason)
    expect(error).toMatchObject(failedWith(`${origin}: it answered 500: no\ufffd[31m xxx`))
    expect(Buffer.byteLength((error as Error).message)).toBeLessThanOrEqual(2_048)
  })

  test("that does not answer is late after its own time", async () => {
    answer = () => {}
    const called = new Promise<void>((resolve) => {
      onAsked = resolve
    })
    const activating = activator().activate(hook("/a"), target, options)
    await called
    await Promise.all([
      expect(activating).rejects.toMatchObject(failedWith("not done within 5000 ms")),
      clock.advance(5_000),
    ])
  })

  test("is no longer waited for when the signal is aborted", async () => {
    answer = () => {}
    const controller = new AbortController()
    const reason = new Error("enough")
    onAsked = () => controller.abort(reason)
    const { signal } = controller
    await expect(activator().activate(hook("/a"), target, { signal })).rejects.toBe(reason)
  })

  test("of a server that is not there fails", async () => {
    await new Promise((resolve) => server.close(resolve))
    await expect(activator().activate(hook("/a"), target, options)).rejects.toMatchObject(
      failedWith("it gave no answer"),
    )
  })
})
