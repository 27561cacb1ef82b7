/** Publishing with true keys: what is in the store, what is listed, and what is left when it fails. */
import { mkdir, readdir, symlink, writeFile } from "node:fs/promises"
import { join } from "node:path"
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest"
import { digestOfRaw } from "../../../src/core/digest.ts"
import { createMemoryHub } from "../../../src/net/memory-network.ts"
import { collectFiles } from "../../../src/release/asset-collection.ts"
import { isReusable } from "../../../src/release/content-making.ts"
import { FileKeyStore } from "../../../src/release/file-key-store.ts"
import { carriedFiles } from "../../../src/release/release.ts"
import type { KnownRelease, PublishRequest } from "../../../src/release/releases.ts"
import type { SealedRelease } from "../../../src/seal/sealed-release.ts"
import { openWorkspace, type Workspace } from "../../support/workspace.ts"
import { FleetScene, newPeer, request, type SceneNode, sceneNode, watch } from "./fleet-scene.ts"

let workspace: Workspace
let model: string
let scene: FleetScene
let node: SceneNode
let folder: string
let count = 0

beforeAll(async () => {
  workspace = openWorkspace("publisher")
})
afterAll(() => workspace.close())
beforeEach(async () => {
  folder = await workspace.folder(`node-${++count}`)
  model = await workspace.folder(`model-${count}`)
  await mkdir(join(model, "weights"))
  await writeFile(join(model, "config.json"), '{"layers":2}')
  await writeFile(join(model, "weights", "a.bin"), "some weights", { mode: 0o640 })
  scene = await FleetScene.create({ peers: [await newPeer()] })
  node = await sceneNode(scene, createMemoryHub().join(), folder)
})

const publish = (change: Partial<PublishRequest> = {}, paths = [model]) =>
  node.publisher.publish(request(paths, change), watch())
const find = (sequence?: number): KnownRelease =>
  node.book.find({ namespace: "acme", name: "model", ...(sequence && { sequence }) })!
const sealedOf = (known: KnownRelease): SealedRelease => {
  const { content } = known.release.said
  if (content.visibility !== "sealed") throw new TypeError("it is not sealed")
  return content.sealed
}
const leftovers = async () => (await readdir(join(folder, "staging", "sealing"))).length
const blobs = () => [...node.store.list()].length
const codeOf = (promise: Promise<unknown>) =>
  promise.then(
    () => "ok",
    (error: { code?: string; message: string }) => error.code ?? error.message,
  )

describe("a folder that is sealed", () => {
  test("is listed, kept and placed, with nothing of its plaintext in the store", async () => {
    const watcher = watch()
    const made = await node.publisher.publish(request([model]), watcher)
    expect(made).toMatchObject({
      asset: { namespace: "acme", name: "model", sequence: 1 },
      files: 2,
      parties: ["owner", "safety", "legal"],
      audience: ["group:edge:1"],
      isPostQuantum: true,
      reusedFiles: 0,
    })
    const known = find()
    expect(known).toMatchObject({ wasAccepted: true, release: { digest: made.digest } })
    const digests = carriedFiles(known.release.said).map(({ digest }) => digest)
    expect([...node.store.pins()]).toEqual([{ name: "release:acme/model@1", digests }])
    expect(digests.map((digest) => node.places.get(digest))).toEqual(["acme", "acme"])
    expect([...watcher.phases]).toEqual(["sealing", "storing"])
    for (const digest of digests) {
      const reader = node.store.open(digest)!
      const bytes = await reader.read({ start: 0, end: reader.layout.sizeBytes })
      expect(Buffer.from(bytes).toString("latin1")).not.toContain("layers")
      reader.release()
    }
    expect(await leftovers()).toBe(0)
  })

  test("gets one number after the other, also where two are published at once", async () => {
    const both = await Promise.all([publish(), publish()])
    expect(both.map(({ asset }) => asset.sequence)).toEqual([1, 2])
    expect(node.book.list().map(({ release }) => release.said.asset.sequence)).toEqual([2, 1])
  })

  test("keeps file keys only as what nobody but the publisher opens", async () => {
    await publish()
    const options = { identityPath: join(folder, "fleet", "publisher.key") }
    const sealed = sealedOf(find())
    const { asset } = find().release.said
    const files = await new FileKeyStore(node, options).read(asset, sealed)
    const own = Buffer.from(node.files.contents.get("releases/acme/model/1/own.json")!).toString()
    expect(files).toHaveLength(2)
    for (const { key, path } of files!) {
      expect(own).not.toContain(Buffer.from(key).toString("base64"))
      expect(own).not.toContain(path)
    }
    const stranger = { identityPath: join(folder, "stranger.key") }
    expect(await new FileKeyStore(node, stranger).read(asset, sealed)).toBeUndefined()
    const committed = sealed.files.map((file) => ({ ...file, commitment: new Uint8Array(32) }))
    const twin = new FileKeyStore(node, options).read(asset, { files: committed })
    expect(await twin).toBeUndefined()
    // Keys of one release are no answer for another's files.
    const other = { files: [...sealed.files].reverse() }
    expect(await new FileKeyStore(node, options).read(asset, other)).toBeUndefined()
  })
})

describe("files that do not change", () => {
  const ciphers = (known: KnownRelease) =>
    sealedOf(known).files.map(({ cipher }) => digestOfRaw(cipher))

  test("keep ciphertext and key, and the new shares still are others", async () => {
    await publish()
    await writeFile(join(model, "config.json"), '{"layers":3}')
    expect(await publish()).toMatchObject({ reusedFiles: 1 })
    const [old, next] = [find(1), find(2)]
    expect(ciphers(next)[1]).toBe(ciphers(old)[1])
    expect(ciphers(next)[0]).not.toBe(ciphers(old)[0])
    expect(sealedOf(next).keyCommitment).not.toEqual(sealedOf(old).keyCommitment)
  })

  test("get fresh keys once somebody was removed from a group of the audience", async () => {
    await publish()
    await scene.publishAccess({ epoch: 2, revoked: [scene.state.peers[0]!.peer] })
    await node.catchUp()
    expect(await publish()).toMatchObject({ reusedFiles: 0, audience: ["group:edge:2"] })
    expect(ciphers(find(2)).filter((cipher) => ciphers(find(1)).includes(cipher))).toEqual([])
  })

  test("get fresh keys for another gate, and where the audience became smaller", async () => {
    const audience = ["edge", `node:${scene.state.peers[0]!.peer}`]
    await publish({ audience })
    expect(await publish({ audience, gate: "hold" })).toMatchObject({ reusedFiles: 0 })
    expect(await publish({ gate: "hold" })).toMatchObject({ reusedFiles: 0 })
    expect(await publish({ audience, gate: "hold" })).toMatchObject({ reusedFiles: 2 })
  })

  test("are reused only for the same parties, gate and recipients, in no smaller audience", async () => {
    await publish()
    const { fields } = sealedOf(find())
    const { list } = node.member.access()!
    const same = { ...fields, audience: [...fields.audience, "group:other:1"] }
    expect(isReusable(fields, same, list)).toBe(true)
    const changes: Partial<typeof fields>[] = [
      { parties: ["owner", "safety"] },
      { parties: ["safety", "owner", "legal"] },
      { gate: "hold" },
      { isPostQuantum: false },
      { audience: ["group:edge:2"] },
      { audience: [] },
    ]
    for (const change of changes)
      expect(isReusable(fields, { ...same, ...change }, list)).toBe(false)
    const { peer } = scene.state.peers[0]!
    const named = { ...fields, audience: [`node:${peer}`] }
    expect(isReusable(named, named, list)).toBe(true)
    expect(isReusable(named, named, { ...list, revoked: new Set([peer]) })).toBe(false)
  })

  test("share one ciphertext within a release", async () => {
    await writeFile(join(model, "copy.bin"), "some weights")
    expect(await publish()).toMatchObject({ files: 3, reusedFiles: 0 })
    expect(new Set(ciphers(find())).size).toBe(2)
  })

  test("are issued anew with new shares and the same ciphertexts after a party was lost", async () => {
    await publish()
    await scene.publishPolicy({ parties: ["owner", "stranger"] })
    await node.catchUp()
    await scene.publishAccess({ epoch: 2 })
    await node.catchUp()
    expect(await publish({ reissues: 1, audience: [] }, [])).toMatchObject({
      parties: ["owner", "stranger"],
      audience: ["group:edge:2"],
    })
    expect(ciphers(find(2))).toEqual(ciphers(find(1)))
    expect(find(2).release.said).toMatchObject({ reissues: 1, asset: { sequence: 2 } })
    expect(await codeOf(publish({ reissues: 9 }, []))).toBe("RELEASE_UNKNOWN")
    node.files.contents.delete("releases/acme/model/1/own.json")
    expect(await codeOf(publish({ reissues: 1 }, []))).toBe("FILE_KEYS_LOST")
  })
})

describe("an activation", () => {
  const activation = { kind: "files", path: "/srv/model" }

  test("is signed with the release, and goes into what is issued anew unless told", async () => {
    await publish({ activation })
    await publish({ reissues: 1, audience: [] }, [])
    const other = { ...activation, path: "/srv/other" }
    await publish({ reissues: 1, activation: other }, [])
    await publish()
    const said = [1, 2, 3, 4].map((sequence) => find(sequence).release.said.activation)
    expect(said).toEqual([activation, activation, other, undefined])
  })
})

describe("a release that is issued anew", () => {
  test("stays held, and keeps its floor unless told", async () => {
    await publish({ gate: "hold", floor: 1 })
    expect(await publish({ reissues: 1, audience: [] }, [])).toMatchObject({ gate: "hold" })
    expect(sealedOf(find(2)).fields.gate).toBe("hold")
    await publish({ reissues: 1, audience: [], floor: 2 }, [])
    const floors = [1, 2, 3].map((sequence) => find(sequence).release.said.floor)
    expect(floors).toEqual([1, 1, 2])
  })

  test("is refused by name where the one before is not known, whomever it was for", async () => {
    expect(await codeOf(publish({ reissues: 9, audience: [] }, []))).toBe("RELEASE_UNKNOWN")
  })
})

describe("a release that requires others", () => {
  test("names them by digest, and keeps them when it is issued anew", async () => {
    const base = { namespace: "acme", name: "base", sequence: 1 }
    const { digest } = await publish({ name: "base" })
    await publish({ requires: [base] })
    expect(find().release.said.requires).toEqual([{ asset: base, digest }])
    await publish({ reissues: 1, audience: [] }, [])
    expect(find(2).release.said.requires).toEqual([{ asset: base, digest }])
    await publish({ reissues: 1, audience: [], requires: [] }, [])
    expect(find(3).release.said.requires).toEqual([])
  })

  test("is refused for one that is not known here, and for one twice", async () => {
    const base = { namespace: "acme", name: "base", sequence: 1 }
    expect(await codeOf(publish({ requires: [base] }))).toBe("RELEASE_UNKNOWN")
    await publish({ name: "base" })
    expect(await codeOf(publish({ requires: [base, base] }))).toBe("PUBLISH_INVALID")
    expect(await codeOf(publish({ requires: [{ ...base, sequence: 2 }] }))).toBe("RELEASE_UNKNOWN")
    expect(node.book.list()).toHaveLength(1)
  })
})

describe("what fails", () => {
  test("before anything is sealed leaves nothing", async () => {
    const cases: readonly (readonly [string, Partial<PublishRequest>])[] = [
      ["POLICY_MISSING", { namespace: "other" }],
      ["AUDIENCE_UNKNOWN", { audience: ["nobody"] }],
      [
        "AUDIENCE_UNKNOWN",
        { audience: ["node:12D3KooWEyoppNCUx8Yx66oV9fJnriXwCcXwDDUA2kj6vnc6iDEp"] },
      ],
      ["PUBLISH_INVALID", { audience: [] }],
      ["PUBLISH_INVALID", { name: "../up" }],
      ["PUBLISH_INVALID", { gate: "none" }],
      ["PUBLISH_INVALID", { lifeMs: 4 * 365 * 86_400_000 }],
      ["PUBLISH_INVALID", { visibility: "fleet" }],
      ["PUBLISH_INVALID", { reissues: 1 }],
      ["PUBLISH_INVALID", { image: "docker.io/library/alpine:3", paths: [] }],
      ["POLICY_FORBIDS", { inspectors: ["age1pq1somebody"] }],
    ]
    for (const [code, change] of cases) {
      expect([change, await codeOf(publish(change))]).toEqual([change, code])
      expect([blobs(), await leftovers(), node.book.list()]).toEqual([0, 0, []])
    }
  })

  test("since the node is held back leaves nothing, until it has caught up", async () => {
    node.member.behind = { count: 2, total: 4, lacks: ["access"] }
    expect(await codeOf(publish())).toBe("FLEET_HELD_BACK")
    expect([blobs(), await leftovers(), node.book.list()]).toEqual([0, 0, []])
    node.member.behind = undefined
    expect(await publish()).toMatchObject({ asset: { sequence: 1 } })
  })

  test("at the desk leaves no blob, no pin, no key and no file behind", async () => {
    node.fault = new Error("the desk is away")
    expect(await codeOf(publish())).toBe("the desk is away")
    expect([blobs(), await leftovers(), [...node.store.pins()]]).toEqual([0, 0, []])
    expect([...node.files.contents.keys()].filter((name) => name.endsWith("own.json"))).toEqual([])
    node.fault = undefined
    expect(await publish()).toMatchObject({ asset: { sequence: 1 } })
  })

  test("since the policy changed while files were sealed lists nothing", async () => {
    const request_ = request([model])
    const watcher = watch()
    let isChanged = false
    const policy = (await node.member.policy("acme"))!
    const onProgress = () => {
      if (isChanged) return
      isChanged = true
      node.member.policy = async () => ({ ...policy, digest: `sha256:${"00".repeat(32)}` })
    }
    const work = node.publisher.publish(request_, { ...watcher, onProgress })
    expect(await codeOf(work)).toBe("PUBLISH_INVALID")
    expect([blobs(), await leftovers(), node.book.list()]).toEqual([0, 0, []])
  })

  test("when it is cut off leaves nothing", async () => {
    const controller = new AbortController()
    const onProgress = () => controller.abort(new Error("enough"))
    const work = node.publisher.publish(request([model]), { signal: controller.signal, onProgress })
    expect(await codeOf(work)).toBe("enough")
    expect([blobs(), await leftovers(), node.book.list()]).toEqual([0, 0, []])
  })
})

describe("what a crash left behind", () => {
  test("is removed when the publisher is opened again", async () => {
    await writeFile(join(folder, "staging", "sealing", "x.unfinished"), "half")
    await sceneNode(scene, createMemoryHub().join(), folder)
    expect(await leftovers()).toBe(0)
  })
})

describe("files", () => {
  const pathsOf = async (paths: readonly string[]) =>
    (await collectFiles(paths)).map(({ path, mode }) => [path, mode.toString(8)])

  test("of one folder stand at the root, of several in folders of their names", async () => {
    const file = join(model, "config.json")
    const weights = join(model, "weights")
    expect((await pathsOf([model])).map(([path]) => path)).toEqual(["config.json", "weights/a.bin"])
    expect((await pathsOf([file, weights])).map(([path]) => path)).toEqual([
      "config.json",
      "weights/a.bin",
    ])
    expect(await pathsOf([weights])).toEqual([["a.bin", "640"]])
  })

  test("that are links, special, unsafe or none are refused", async () => {
    const link = join(model, "link")
    await symlink("/etc/passwd", link)
    expect(await codeOf(collectFiles([model]))).toBe("PATH_REFUSED")
    expect(await codeOf(collectFiles([link]))).toBe("PATH_REFUSED")
    expect(await codeOf(collectFiles(["/dev/null"]))).toBe("PATH_REFUSED")
    const odd = await workspace.folder(`odd-${count}`)
    expect(await codeOf(collectFiles([odd]))).toBe("PUBLISH_INVALID")
    await writeFile(join(odd, "con.txt"), "x")
    expect(await codeOf(collectFiles([odd]))).toBe("PATH_REFUSED")
    expect(await codeOf(collectFiles([join(odd, "none")]))).toBe("PUBLISH_INVALID")
  })
})

describe("a release that is not sealed", () => {
  test.each(["fleet", "public"] as const)("(%s) has its bytes as they are", async (visibility) => {
    await publish({ visibility, audience: [] })
    const { content } = find().release.said
    expect(content).toMatchObject({
      visibility,
      files: [
        { path: "config.json", mediaType: "application/json", sizeBytes: 12 },
        { path: "weights/a.bin", mediaType: "application/octet-stream", mode: 0o640 },
      ],
    })
    const reader = node.store.open(carriedFiles(find().release.said)[0]!.digest)!
    const bytes = await reader.read({ start: 0, end: 12 })
    expect(Buffer.from(bytes).toString()).toBe('{"layers":2}')
    reader.release()
  })
})
