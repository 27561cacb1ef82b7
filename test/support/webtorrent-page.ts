/**
 * A web page in Chromium that runs webtorrent: downloads a torrent from whoever it finds by WebSocket
 * trackers, and seeds it as long as it is open.
 * @module
 */
import { readFile } from "node:fs/promises"
import { createServer } from "node:http"
import { createRequire } from "node:module"
import type { AddressInfo } from "node:net"
import { dirname, join } from "node:path"
import { type Browser, chromium, type Page } from "playwright-core"
import { findTool } from "./process.ts"
import type { Workspace } from "./workspace.ts"

const BUNDLE = join(
  dirname(createRequire(import.meta.url).resolve("webtorrent/package.json")),
  "dist/webtorrent.min.js",
)
const PAGE = `<!doctype html><title>webtorrent</title><script type="module">
import WebTorrent from "/webtorrent.min.js"
const client = new WebTorrent({ dht: false, lsd: false, utPex: false })
client.on("error", (error) => { window.fault = String(error) })
window.client = client
</script>`

/** A page that is ready. */
export interface TorrentPage {
  /** Adds a torrent by its file and does not wait. @param announce - WebSocket trackers */
  add(torrent: Uint8Array, announce: readonly string[]): Promise<void>
  /** Adds a torrent by its magnet link, which names the trackers, and does not wait. */
  addMagnet(magnet: string): Promise<void>
  /** Bytes of the first torrent that are there and right. */
  haveBytes(): Promise<number>
  /** SHA-256 of the first torrent's only file, once it is whole. */
  sha256(): Promise<string>
  close(): Promise<void>
}

/** Starts Chromium; it ends with the workspace. */
export async function openBrowser(workspace: Workspace): Promise<Browser> {
  const browser = await chromium.launch({
    executablePath: findTool("chromium")!,
    // Without it a page hides the addresses of its machine behind mDNS names, which nobody answers here.
    args: ["--no-sandbox", "--disable-features=WebRtcHideLocalIpsWithMdns"],
  })
  workspace.defer(() => browser.close())
  return browser
}

/** Opens such a page, served from this machine. */
export async function openTorrentPage(
  workspace: Workspace,
  browser: Browser,
): Promise<TorrentPage> {
  const bundle = await readFile(BUNDLE)
  const server = createServer((request, answer) => {
    const isBundle = request.url === "/webtorrent.min.js"
    answer.setHeader("content-type", isBundle ? "text/javascript" : "text/html")
    answer.end(isBundle ? bundle : PAGE)
  })
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve))
  workspace.defer(() => server.close())
  const page = await browser.newPage()
  await page.goto(`http://127.0.0.1:${(server.address() as AddressInfo).port}/`)
  await page.waitForFunction("window.client !== undefined")
  return pageOf(page)
}

function pageOf(page: Page): TorrentPage {
  return {
    async add(torrent, announce) {
      const base64 = Buffer.from(torrent).toString("base64")
      await page.evaluate(
        `window.client.add(Uint8Array.from(atob(${JSON.stringify(base64)}), (letter) =>
          letter.charCodeAt(0)), { announce: ${JSON.stringify(announce)} })`.concat("; 0"),
      )
    },
    async addMagnet(magnet) {
      await page.evaluate(`window.client.add(${JSON.stringify(magnet)}); 0`)
    },
    async haveBytes() {
      const count = await page.evaluate<number>("window.client.torrents[0]?.downloaded ?? 0")
      return count
    },
    async sha256() {
      const isDone = "window.fault !== undefined || window.client.torrents[0]?.done === true"
      await page.waitForFunction(isDone, undefined, { timeout: 90_000 })
      return await page.evaluate<string>(`(async () => {
        if (window.fault !== undefined) throw new Error(window.fault)
        const blob = await window.client.torrents[0].files[0].blob()
        const hash = await crypto.subtle.digest("SHA-256", await blob.arrayBuffer())
        return [...new Uint8Array(hash)].map((byte) => byte.toString(16).padStart(2, "0")).join("")
      })()`)
    },
    close: () => page.close(),
  }
}
