/** Archives that are published to be unpacked, with true keys, and the nodes that unpack them. */
import { readdir, readFile, writeFile } from "node:fs/promises"
import { join } from "node:path"
import { gzipSync } from "node:zlib"
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest"
import { codeOf } from "../../../src/core/errors.ts"
import { createMemoryHub } from "../../../src/net/memory-network.ts"
import type { PublishRequest } from "../../../src/release/releases.ts"
import { openWorkspace, type Workspace } from "../../support/workspace.ts"
import {
  FleetScene,
  findModel,
  newPeer,
  request,
  type SceneNode,
  sceneNode,
  watch,
} from "./fleet-scene.ts"
import { approveByAll, GatedNodes } from "./gated-nodes.ts"
import { type TarEntry, tarOf } from "./tar-file.ts"

const MODEL: readonly TarEntry[] = [
  { name: "bin/", type: "5" },
  { name: "bin/run", content: "#!", mode: 0o755 },
  { name: "config.json", content: "{}" },
]

let workspace: Workspace
let node: SceneNode
let root: string
let count = 0
const at = (name: string): string => join(root, name)
const hub = createMemoryHub()

beforeAll(async () => {
  workspace = openWorkspace("unpacking")
})
afterAll(() => workspace.close())
beforeEach(async () => {
  root = await workspace.folder(`files-${++count}`)
  await writeFile(at("model.tar"), tarOf(MODEL))
  await writeFile(at("model.tgz"), gzipSync(tarOf(MODEL)))
  await writeFile(at("README"), "read me")
})

const publish = (names: readonly string[], change: Partial<PublishRequest> = {}) =>
  node.publisher.publish(request(names.map(at), { unpack: true, ...change }), watch())
const found = (of = node) => findModel(of)
const codeOfWork = (work: Promise<unknown>) => work.then(() => "ok", codeOf)

describe("an archive that is published to be unpacked", () => {
  beforeEach(async () => {
    const scene = await FleetScene.create({ peers: [await newPeer()] })
    node = await sceneNode(scene, hub.join(), await workspace.folder(`node-${count}`))
  })

  test("has in its release how much is in it", async () => {
    await publish(["model.tgz", "README"], { visibility: "fleet", audience: [] })
    const sizeBytes = tarOf(MODEL).length
    expect(found().release.said.content).toMatchObject({
      files: [
        { path: "README", mediaType: "application/octet-stream" },
        {
          path: "model.tgz",
          mediaType: "application/x-tar+gzip",
          unpack: { entries: 3, sizeBytes },
        },
      ],
    })
  })

  test("is refused when no node would unpack it, and nothing is published", async () => {
    await writeFile(at("link.tar"), tarOf([{ name: "a", type: "2", link: "/etc" }]))
    await writeFile(at("clash.tar"), tarOf([{ name: "readme" }]))
    await writeFile(at("text.tar"), "no archive")
    expect(await codeOfWork(publish(["link.tar"]))).toBe("ARCHIVE_REFUSED")
    expect(await codeOfWork(publish(["text.tar"]))).toBe("ARCHIVE_REFUSED")
    expect(await codeOfWork(publish(["clash.tar", "README"]))).toBe("ARCHIVE_REFUSED")
    expect(await codeOfWork(publish(["model.tar", "model.tgz"]))).toBe("ARCHIVE_REFUSED")
    expect(await codeOfWork(publish(["README"]))).toBe("PUBLISH_INVALID")
    expect(await codeOfWork(publish([], { reissues: 1 }))).toBe("PUBLISH_INVALID")
    expect(node.book.list()).toEqual([])
    expect([...node.store.list()]).toEqual([])
  })

  test("may have what another variant's has: no node gets both", async () => {
    await writeFile(at("arm.tar"), tarOf(MODEL))
    const variants = [
      { slots: { arch: "amd64" }, paths: [at("model.tar")] },
      { slots: { arch: "arm64" }, paths: [at("arm.tar")] },
    ]
    expect(await publish([], { variants })).toMatchObject({ files: 2 })
  })
})

test("an archive of a sealed release comes out unpacked, or as it is for who asks for that", async () => {
  const nodes = await GatedNodes.open(workspace, [{}, {}])
  node = nodes.gate
  await publish(["model.tgz", "README"])
  await approveByAll(nodes.scene, node, found())
  node.book.start()
  const { opener, ...edge } = await nodes.join(0)
  const [whole, packed] = [join(edge.folder, "whole"), join(edge.folder, "packed")]
  expect(await opener.open(found(edge.node), whole, watch())).toEqual({ path: whole, files: 3 })
  expect((await readdir(whole)).sort()).toEqual(["README", "bin", "config.json"])
  expect(await readFile(join(whole, "bin", "run"), "utf8")).toBe("#!")
  const asItIs = { ...watch(), unpack: false }
  expect(await opener.open(found(edge.node), packed, asItIs)).toEqual({ path: packed, files: 2 })
  expect((await readdir(packed)).sort()).toEqual(["README", "model.tgz"])
  node.book.stop()
})
