/** One release of several variants: nodes choose by their labels, and what is equal is sealed once. */
import { mkdir, readdir, readFile, writeFile } from "node:fs/promises"
import { join } from "node:path"
import { afterAll, beforeAll, beforeEach, expect, test } from "vitest"
import { codeOf } from "../../../src/core/errors.ts"
import type { Labels } from "../../../src/fleet/access-field.ts"
import { createMemoryHub } from "../../../src/net/memory-network.ts"
import { collectVariants } from "../../../src/release/asset-collection.ts"
import { carriedFiles, type Release } from "../../../src/release/release.ts"
import type { PublishRequest } from "../../../src/release/releases.ts"
import { wantedFiles } from "../../../src/release/staging.ts"
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

let workspace: Workspace
let root: string
let node: SceneNode
let count = 0
const at = (name: string) => join(root, name)
const ARM: Labels = { arch: "arm64" }
const AMD: Labels = { arch: "amd64" }

async function write(texts: Readonly<Record<string, string>>): Promise<void> {
  for (const [path, text] of Object.entries(texts)) {
    await mkdir(join(root, path, ".."), { recursive: true })
    await writeFile(at(path), text)
  }
}

beforeAll(async () => {
  workspace = openWorkspace("variants")
})
afterAll(() => workspace.close())
beforeEach(async () => {
  root = await workspace.folder(`files-${++count}`)
  await write({
    "common/tokens.txt": "tokens",
    "arm/model.bin": "for arm",
    "arm/config.json": "{}",
    "amd/model.bin": "for amd",
    "amd/config.json": "{}",
  })
  const scene = await FleetScene.create({ peers: [await newPeer()] })
  node = await sceneNode(scene, createMemoryHub().join(), await workspace.folder(`node-${count}`))
})

const variants = () => [
  { slots: ARM, paths: [at("arm")] },
  { slots: AMD, paths: [at("amd")] },
]
const publish = (change: Partial<PublishRequest> = {}, paths = [at("common")]) =>
  node.publisher.publish(request(paths, { variants: variants(), ...change }), watch())
const known = (of = node) => findModel(of)
const published = (): Release => known().release.said
const codeOfWork = (work: Promise<unknown>) => work.then(() => "ok", codeOf)

test("has in each variant its own files and the common ones, and seals equal ones once", async () => {
  expect(await publish()).toMatchObject({ files: 5 })
  const said = published()
  expect(said.variants).toEqual([
    { slots: ARM, files: [2, 3, 4] },
    { slots: AMD, files: [0, 1, 4] },
  ])
  const digests = carriedFiles(said).map(({ digest }) => digest)
  expect(digests[0]).toBe(digests[2])
  expect(new Set(digests).size).toBe(4)
  const wanted = (labels: Labels) => wantedFiles(said, labels).map(({ digest }) => digest)
  expect(wanted({ ...ARM, gpu: "none" })).toEqual([2, 3, 4].map((place) => digests[place]))
  expect(wanted(AMD)).toEqual([0, 1, 4].map((place) => digests[place]))
  expect(() => wanted({ arch: "riscv64" })).toThrow(expect.objectContaining({ code: "NO_VARIANT" }))
})

test("that is not sealed names the paths of all variants, each in its folder", async () => {
  await publish({ visibility: "fleet", audience: [] }, [])
  const { content } = published()
  expect(content).toMatchObject({
    files: ["amd/config.json", "amd/model.bin", "arm/config.json", "arm/model.bin"].map((path) => ({
      path,
    })),
  })
})

test("may share a path between variants, which is then one file", async () => {
  const { files, variants: made } = await collectVariants(
    [],
    [
      { slots: ARM, paths: [at("arm/model.bin"), at("common")] },
      { slots: AMD, paths: [at("common"), at("common")] },
      { slots: {}, paths: [at("common/tokens.txt")] },
    ],
  )
  expect(files.map(({ path }) => path)).toEqual(["common/tokens.txt", "model.bin", "tokens.txt"])
  expect(made.map((one) => one.files)).toEqual([[0, 1], [0], [2]])
})

test("keeps its variants when it is issued anew", async () => {
  await publish()
  const before = published().variants
  await node.publisher.publish(request([], { reissues: 1 }), watch())
  expect(published()).toMatchObject({ asset: { sequence: 2 }, variants: before })
})

test("is refused before anything is sealed when its variants are no variants", async () => {
  const [arm, amd] = variants()
  const many = Array.from({ length: 65 }, (_, index) => ({ ...arm!, slots: { n: `${index}` } }))
  const cases: readonly (readonly [string, Partial<PublishRequest>])[] = [
    ["PUBLISH_INVALID", { variants: [] }],
    ["PUBLISH_INVALID", { variants: many }],
    ["PUBLISH_INVALID", { variants: [arm!, { ...amd!, slots: ARM }] }],
    ["PUBLISH_INVALID", { variants: [{ ...arm!, slots: { "a b": "1" } }] }],
    ["PUBLISH_INVALID", { slots: ARM }],
    ["PUBLISH_INVALID", { image: "docker.io/library/alpine:3" }],
    ["PUBLISH_INVALID", { reissues: 1 }],
    ["PUBLISH_INVALID", { paths: [], variants: [arm!, { slots: AMD, paths: [] }] }],
  ]
  // Two files of one path: whose folder that is would depend on the variant.
  await write({ "other/arm/model.bin": "another" })
  const clash = [arm!, { slots: AMD, paths: [at("other/arm")] }]
  expect(await codeOfWork(publish({ variants: clash }))).toBe("PATH_REFUSED")
  for (const [code, change] of cases) {
    expect([change, await codeOfWork(publish(change))]).toEqual([change, code])
  }
  expect([[...node.store.list()].length, node.book.list()]).toEqual([0, []])
})

test("labels of the files of one variant are looked at before the work", async () => {
  const work = node.publisher.publish(request([at("arm")], { slots: { arch: "" } }), watch())
  expect(await codeOfWork(work)).toBe("PUBLISH_INVALID")
})

test("is opened by each node as its labels say, and by one without any of them not at all", async () => {
  const places = [ARM, { ...AMD, gpu: "none" }, { arch: "riscv64" }, {}]
  const nodes = await GatedNodes.open(workspace, places)
  node = nodes.gate
  await publish()
  await approveByAll(nodes.scene, node, known())
  node.book.start()
  const outcome = async (index: number) => {
    const { opener, ...place } = await nodes.join(index)
    const out = join(place.folder, "out")
    const code = await codeOfWork(opener.open(known(place.node), out, watch()))
    if (code !== "ok") return code
    const entries = await readdir(out, { recursive: true, withFileTypes: true })
    const paths = entries.filter((one) => one.isFile()).map((one) => join(one.parentPath, one.name))
    const texts = await Promise.all(
      paths.map(async (path) => [path.slice(out.length + 1), await readFile(path, "utf8")]),
    )
    return Object.fromEntries(texts)
  }
  const common = { "common/tokens.txt": "tokens" }
  expect(await outcome(0)).toEqual({
    ...{ ...common, "arm/config.json": "{}", "arm/model.bin": "for arm" },
  })
  expect(await outcome(1)).toEqual({
    ...{ ...common, "amd/config.json": "{}", "amd/model.bin": "for amd" },
  })
  expect(await outcome(2)).toBe("NO_VARIANT")
  node.book.stop()
})
