/** Opened releases of rollouts on the disk: what is tidied away, and what must not be. */
import { mkdir, mkdtemp, readdir, rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterEach, beforeEach, describe, expect, it } from "vitest"
import { silentLogger } from "../../../src/core/log.ts"
import type { Fleet } from "../../../src/fleet/fleet.ts"
import type { KnownRelease, Opener, ReleaseBook } from "../../../src/release/releases.ts"
import { ReleaseContent } from "../../../src/rollout/release-content.ts"
import { releaseOf } from "./rollout-scene.ts"

const OPENING = ".0c5f3f0e-0000-4000-8000-000000000000.opening"
const MODEL = releaseOf("model", 2)
const OPTIONS = { signal: new AbortController().signal }

let folder: string
let content: ReleaseContent
/** What an opening does before it has made its folder. */
let onOpening: () => Promise<void>
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "sealift-content-"))
  onOpening = async () => {}
  const known = (sequence: number) =>
    ({ release: { digest: releaseOf("model", sequence).digest } }) as KnownRelease
  const book: Pick<ReleaseBook, "find"> = {
    find: ({ sequence }: { readonly sequence?: number | undefined }) => known(sequence ?? 1),
  } as Pick<ReleaseBook, "find">
  const opener: Pick<Opener, "open"> = {
    open: async (_, path) => {
      await onOpening()
      await mkdir(path)
      return { path, files: 1 }
    },
  }
  content = new ReleaseContent(
    {
      book: book as ReleaseBook,
      opener: opener as Opener,
      fleet: {} as Fleet,
      log: silentLogger,
    },
    { folder },
  )
})
afterEach(() => rm(folder, { recursive: true, force: true }))

async function opened(): Promise<string> {
  const answer = await content.open(MODEL, OPTIONS)
  if (answer.kind === "opened") return answer.path
  throw new Error(answer.kind)
}

describe("opened releases", () => {
  it("stay while they are named, and go when nothing names them any more", async () => {
    const path = await opened()
    await content.keepOnly(new Set([path]))
    expect(await readdir(folder)).toHaveLength(1)
    await content.keepOnly(new Set())
    expect(await readdir(folder)).toEqual([])
  })

  it("stay until it is kept that they were opened", async () => {
    await opened()
    await content.keepOnly(new Set())
    expect(await readdir(folder)).toHaveLength(1)
    // What was there already is as fresh to whoever opens it anew.
    await opened()
    await content.keepOnly(new Set())
    expect(await readdir(folder)).toHaveLength(1)
  })

  it("are left alone while they are being opened", async () => {
    await mkdir(join(folder, OPENING))
    onOpening = () => content.keepOnly(new Set())
    await opened()
    expect(await readdir(folder)).toHaveLength(2)
  })

  it("of an opening that failed are no more than others", async () => {
    onOpening = async () => {
      throw Object.assign(new Error("no share"), { code: "GATE_MISSING" })
    }
    expect(await content.open(MODEL, OPTIONS)).toMatchObject({ kind: "not-yet" })
    onOpening = async () => {}
    const path = await opened()
    await content.keepOnly(new Set([path]))
    await content.keepOnly(new Set())
    expect(await readdir(folder)).toEqual([])
  })

  it("whose removal a crash cut off are none that could be given again", async () => {
    const path = await opened()
    await content.keepOnly(new Set([path]))
    const left = `.${path.slice(folder.length + 1)}.removed`
    await mkdir(join(folder, left, "half"), { recursive: true })
    await content.keepOnly(new Set([path]))
    expect(await readdir(folder)).toHaveLength(1)
    await mkdir(join(folder, left, "half"), { recursive: true })
    await content.keepOnly(new Set())
    expect(await readdir(folder)).toEqual([])
  })
})
