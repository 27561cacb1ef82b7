// A web page in a real browser attacks the node from another origin, and through a host name that
// was rebound to the loopback. It can neither read nor write.
import { createServer, type Server } from "node:http"
import type { AddressInfo } from "node:net"
import { type Browser, chromium, type Page } from "playwright-core"
import { afterAll, beforeAll, describe, expect, test } from "vitest"
import { findTool, missingTools } from "../support/process.ts"
import { IMAGE_TOOLS, pushImage, type RealImage, realImage } from "../support/real-image.ts"
import { type SealiftNode, startNode } from "../support/sealift-node.ts"
import { openWorkspace } from "../support/workspace.ts"

const missing = missingTools(...IMAGE_TOOLS, "chromium")
const REBOUND = "evil.test"

/** One request that the page makes. */
interface Attack {
  readonly path: string
  readonly method?: string
  readonly mode?: "cors" | "no-cors" | "same-origin"
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: string
}

/** What the page could see of the answer. */
interface Seen {
  readonly isBlocked: boolean
  readonly type?: string
  readonly status?: number
  readonly text?: string
}

/** Makes the request inside the page; what is in the braces runs there. */
const tryIn = (page: Page, base: string, attack: Attack): Promise<Seen> =>
  page.evaluate(attempt, { base, attack: { ...attack } })

async function attempt({ base, attack }: { base: string; attack: Attack }): Promise<Seen> {
  try {
    const response = await fetch(base + attack.path, {
      method: attack.method ?? "GET",
      mode: attack.mode ?? "cors",
      headers: { ...attack.headers },
      ...(attack.body === undefined ? {} : { body: attack.body }),
    })
    const { type, status } = response
    return { isBlocked: false, type, status, text: await response.text() }
  } catch {
    return { isBlocked: true }
  }
}

describe.skipIf(missing.length > 0)("a web page", () => {
  const workspace = openWorkspace("browser")
  let node: SealiftNode
  let image: RealImage
  let browser: Browser
  let attacker: Server
  let page: Page

  beforeAll(async () => {
    node = await startNode(workspace, { name: "node" })
    image = await realImage("small")
    await pushImage(image, node.host, "team/secret")
    attacker = createServer((_request, answer) => {
      answer.writeHead(200, { "content-type": "text/html" })
      answer.end("<!doctype html><title>attack</title><body></body>")
    })
    await new Promise<void>((resolve) => attacker.listen(0, "127.0.0.1", resolve))
    workspace.defer(() => attacker.close())
    browser = await chromium.launch({
      executablePath: findTool("chromium")!,
      args: ["--no-sandbox", `--host-resolver-rules=MAP ${REBOUND} 127.0.0.1`],
    })
    workspace.defer(() => browser.close())
  })
  afterAll(() => workspace.close())

  const READS: readonly Attack[] = [
    { path: "/v2/" },
    { path: "/v2/team/secret/tags/list" },
    { path: "/v2/team/secret/manifests/1" },
    { path: "/metrics" },
    { path: "/healthz" },
  ]
  const empty = '{"schemaVersion":2,"config":{},"layers":[]}'
  const WRITES: readonly Attack[] = [
    { path: "/v2/team/evil/blobs/uploads/", method: "POST", mode: "no-cors" },
    { path: "/v2/team/evil/blobs/uploads/", method: "POST", body: "x" },
    { path: "/v2/team/evil/manifests/1", method: "PUT", body: empty },
    { path: "/v2/team/evil/manifests/1", method: "POST", mode: "no-cors", body: empty },
    { path: "/v2/team/secret/manifests/1", method: "DELETE" },
  ]

  /** The node still has what it had, and nothing new. */
  async function expectUntouched(): Promise<void> {
    const tags = await fetch(`${node.http}/v2/team/secret/tags/list`)
    expect(await tags.json()).toMatchObject({ tags: ["1"] })
    expect((await fetch(`${node.http}/v2/team/evil/tags/list`)).status).toBe(404)
    expect((await fetch(`${node.http}/v2/team/evil/manifests/1`)).status).toBe(404)
  }

  describe("of another origin", () => {
    beforeAll(async () => {
      page = await browser.newPage()
      // Another port of the same host is another origin but the same site: the harder case.
      await page.goto(`http://127.0.0.1:${(attacker.address() as AddressInfo).port}/`)
    })

    test.each(READS)("cannot read $path", async (attack) => {
      expect(await tryIn(page, node.http, attack)).toEqual({ isBlocked: true })
      const opaque: Attack = { ...attack, mode: "no-cors" }
      const seen = await tryIn(page, node.http, opaque)
      if (!seen.isBlocked) expect(seen).toMatchObject({ type: "opaque", status: 0, text: "" })
    })

    test.each(WRITES)("cannot $method $path ($mode)", async (attack) => {
      const seen = await tryIn(page, node.http, attack)
      if (!seen.isBlocked) expect(seen).toMatchObject({ type: "opaque", text: "" })
      await expectUntouched()
    })

    test("cannot submit a form to the node", async () => {
      const form = await browser.newPage()
      await form.goto(`http://127.0.0.1:${(attacker.address() as AddressInfo).port}/`)
      const target = `${node.http}/v2/team/evil/blobs/uploads/`
      await form.setContent(`<form method=post action="${target}"><button>go</button></form>`)
      const [answer] = await Promise.all([form.waitForResponse(target), form.click("button")])
      expect(answer.status()).toBe(403)
      await expectUntouched()
    })
  })

  describe("of a host name rebound to the node", () => {
    const port = () => new URL(node.http).port
    const rebound = () => `http://${REBOUND}:${port()}`

    beforeAll(async () => {
      page = await browser.newPage()
      // The attacker's own answer, before the name was rebound: the same origin as the node's port.
      await page.route(`${rebound()}/`, (route) =>
        route.fulfill({ contentType: "text/html", body: "<!doctype html><title>x</title>" }),
      )
      await page.goto(`${rebound()}/`)
    })

    test.each(READS)("cannot read $path", async (attack) => {
      const seen = await tryIn(page, rebound(), attack)
      expect(seen.isBlocked || seen.status! >= 400).toBe(true)
      expect(seen.text ?? "").not.toMatch(/schemaVersion|sealift_|"tags"/)
    })

    test.each(WRITES)("cannot $method $path ($mode)", async (attack) => {
      const seen = await tryIn(page, rebound(), { ...attack, mode: "same-origin" })
      expect(seen.isBlocked || seen.status! >= 400).toBe(true)
      await expectUntouched()
    })

    test("cannot open the node by navigation either", async () => {
      const tab = await browser.newPage()
      const target = `${rebound()}/v2/team/secret/tags/list`
      // Chromium may take an error without a page for a failed navigation.
      const opened = tab.goto(target).catch(() => undefined)
      const [answer] = await Promise.all([tab.waitForResponse(target), opened])
      expect(answer.status()).toBeGreaterThanOrEqual(400)
    })
  })
})
