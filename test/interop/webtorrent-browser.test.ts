// A page in a real browser, with webtorrent's own bundle, downloads a public asset from a real node
// over WebRTC and seeds it back to another node; a private one it cannot have.
import { readFile } from "node:fs/promises"
import { join } from "node:path"
import { setTimeout as sleep } from "node:timers/promises"
import type { Browser } from "playwright-core"
import { afterAll, beforeAll, describe, expect, test } from "vitest"
import { digestOf, hexOf } from "../../src/core/digest.ts"
import { missingTools, pollUntil } from "../support/process.ts"
import { json, ownBytes, pushBlob, sha256Of, type TorrentRow } from "../support/public-asset.ts"
import { type SealiftNode, startNode } from "../support/sealift-node.ts"
import { startTracker, type TestTracker } from "../support/tracker.ts"
import { openBrowser, openTorrentPage, type TorrentPage } from "../support/webtorrent-page.ts"
import { openWorkspace } from "../support/workspace.ts"

const SIZE_BYTES = 9_000_001
/** A page that gets nothing is watched for this time. */
const DENIED_MS = 8_000
const MEETING_MS_MAX = 30_000

const missing = missingTools("chromium")

describe.skipIf(missing.length > 0)("a page that runs webtorrent", () => {
  const workspace = openWorkspace("webtorrent")
  const asset = ownBytes(SIZE_BYTES, 3)
  const secret = ownBytes(SIZE_BYTES, 4)
  let tracker: TestTracker
  let browser: Browser
  let origin: SealiftNode
  let page: TorrentPage
  let shown: TorrentRow
  let hidden: TorrentRow

  const start = (name: string): Promise<SealiftNode> =>
    startNode(workspace, {
      name,
      flags: ["--public-port", "127.0.0.1:0", "--tracker", tracker.ws],
      // Page and nodes are on one machine, whose addresses no stranger may name otherwise.
      config: { public: { lan: true } },
    })

  beforeAll(async () => {
    tracker = await startTracker()
    workspace.defer(() => tracker.close())
    browser = await openBrowser(workspace)
    origin = await start("origin")
    const [digest, secretDigest] = [await pushBlob(origin, asset), await pushBlob(origin, secret)]
    shown = await torrentOf(origin, digest, "--public")
    hidden = await torrentOf(origin, secretDigest)
    page = await openTorrentPage(workspace, browser)
  })
  afterAll(() => workspace.close())

  async function torrentOf(
    node: SealiftNode,
    digest: string,
    ...flags: readonly string[]
  ): Promise<TorrentRow> {
    const { torrents } = await json<{ torrents: TorrentRow[] }>(
      node,
      ...["torrent", digest, ...flags],
    )
    return torrents[0]!
  }

  test("downloads a public asset from a node by its magnet link", async () => {
    expect(shown.magnet).toContain(encodeURIComponent(tracker.ws))
    await page.addMagnet(shown.magnet)
    expect(await page.sha256()).toBe(hexOf(digestOf(asset)))
    expect(await origin.metric("sealift_swarm_uploaded_bytes_total")).toBe(SIZE_BYTES)
  })

  test("gets nothing of a private one, although its torrent is known", async () => {
    const other = await openTorrentPage(workspace, browser)
    await other.add(Buffer.from(hidden.torrent, "base64"), [tracker.ws])
    const isThere = await pollUntil(() => tracker.peerCount(hidden.infoHash) > 0, MEETING_MS_MAX)
    expect(isThere, "the page asks for it").toBe(true)
    await sleep(DENIED_MS)
    expect(await other.haveBytes()).toBe(0)
    expect(tracker.peerCount(hidden.infoHash)).toBe(1)
    expect(await origin.metric("sealift_swarm_uploaded_bytes_total")).toBe(SIZE_BYTES)
    await other.close()
  })

  test("seeds it back to another node, with the first one gone", async () => {
    await origin.stop()
    const node = await start("taker")
    const target = join(node.data, "taken")
    const got = await json<{ digest: string }>(node, "get", shown.magnet, "-o", target)
    expect(got.digest).toBe(shown.digest)
    expect(await sha256Of(target)).toBe(hexOf(digestOf(asset)))
    expect((await readFile(target)).length).toBe(SIZE_BYTES)
    expect(await node.metric("sealift_swarm_downloaded_bytes_total")).toBe(SIZE_BYTES)
    expect(await node.stop()).toBe(0)
  })
})
