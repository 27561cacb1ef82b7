/** The vectors of protocol/tag-claim.md and protocol/registry-profile.md. */
import { readdirSync, readFileSync } from "node:fs"
import { describe, expect, test } from "vitest"
import { CodedError, codeOf } from "../../../src/core/errors.ts"
import { createMemoryHub } from "../../../src/net/memory-network.ts"
import type { PeerSource } from "../../../src/net/net.ts"
import { believeMirrored, believePushed, type Vouch } from "../../../src/registry/claim/belief.ts"
import { type TagClaim, verifyClaim } from "../../../src/registry/claim/claim.ts"
import { ociAnswer } from "../../../src/registry/oci-error.ts"
import { locate } from "../../../src/registry/place.ts"
import { parseRange, resolveRange } from "../../../src/registry/range-header.ts"
import { parseRoute } from "../../../src/registry/route-path.ts"

interface Vector<Input, Output> {
  readonly page: string
  readonly case: string
  readonly comment: string
  readonly input: Input
  readonly expect: string
  readonly output?: Output
}

function vectorsOf<Input, Output>(page: string, prefix: string): readonly Vector<Input, Output>[] {
  const folder = `protocol/${page}/vectors`
  return readdirSync(folder)
    .filter((name) => name.startsWith(`${prefix}-`) || name === `${prefix}.json`)
    .map((name) => JSON.parse(readFileSync(`${folder}/${name}`, "utf8")) as Vector<Input, Output>)
}

/** Gives the code of what is thrown, or "ok" with what is returned. */
async function outcomeOf<T>(work: () => T | Promise<T>): Promise<{ code: string; value?: T }> {
  try {
    return { code: "ok", value: await work() }
  } catch (error) {
    return { code: codeOf(error) ?? String(error) }
  }
}

type SignedText = { statement: string; signer: string; signature: string }

describe("tag-claim: claims", () => {
  const net = createMemoryHub().join()
  test.each(vectorsOf<SignedText, { claim: object }>("tag-claim", "claim"))(
    "$case: $comment",
    async ({ input, expect: code, output }) => {
      const outcome = await outcomeOf(() =>
        verifyClaim(net, {
          statement: Buffer.from(input.statement, "base64"),
          signer: input.signer,
          signature: Buffer.from(input.signature, "base64"),
        }),
      )
      expect(outcome.code).toBe(code)
      if (outcome.value === undefined) return
      const { claim } = outcome.value
      expect({ ...claim, digest: claim.digest ?? null }).toEqual(output?.claim)
    },
  )
})

type Said = Pick<TagClaim, "digest" | "observedAt" | "counter">
interface Belief {
  readonly trustLanTags: boolean
  readonly newest: Said | null
  readonly vouches: readonly (Said & { source: PeerSource })[]
}

describe.each([
  ["mirrored", believeMirrored],
  ["pushed", believePushed],
] as const)("tag-claim: belief in a %s tag", (kind, believe) => {
  const whole = (said: Said): TagClaim => ({
    fleet: "",
    registry: kind === "pushed" ? "" : "docker.io",
    name: "team/app",
    tag: "v1",
    mediaType: "",
    sizeBytes: 0,
    digest: said.digest,
    observedAt: said.observedAt,
    counter: said.counter,
  })
  test.each(vectorsOf<Belief, { digest: string | null }>("tag-claim", kind))(
    "$case: $comment",
    ({ input, output }) => {
      const vouches = input.vouches.map(
        (said): Vouch => ({ claim: whole(said), sources: new Set([said.source]) }),
      )
      const newest = input.newest === null ? undefined : whole(input.newest)
      const rules = { trustLanTags: input.trustLanTags, newest }
      expect(believe(vouches, rules)?.digest ?? null).toBe(output?.digest)
    },
  )
})

interface NameInput {
  readonly path: string
  readonly ns: string | null
  readonly upstreamKeys: readonly string[]
  readonly ownHosts: readonly string[]
  readonly defaultUpstream: string | null
}

describe("registry-profile: names", () => {
  test.each(vectorsOf<NameInput, object>("registry-profile", "name"))(
    "$case: $comment",
    async ({ input, expect: code, output }) => {
      const rules = {
        isRegistry: (name: string) => name.includes(".") || input.upstreamKeys.includes(name),
        isOwnHost: (host: string) => input.ownHosts.includes(host),
        defaultUpstream: input.defaultUpstream ?? undefined,
      }
      const outcome = await outcomeOf(() => locate(input.path, input.ns ?? undefined, rules))
      expect(outcome.code).toBe(code)
      if (outcome.value === undefined) return
      const { place, fallback } = outcome.value
      const { registry, repository } = place
      expect({ registry, repository, fallback: fallback?.origin ?? null }).toEqual(output)
      expect(place.origin === undefined).toBe(registry === "")
    },
  )
})

describe("registry-profile: routes", () => {
  test.each(vectorsOf<{ path: string }, object>("registry-profile", "route"))(
    "$case: $comment",
    async ({ input, expect: code, output }) => {
      const outcome = await outcomeOf(() => parseRoute(input.path))
      expect(outcome.code).toBe(code)
      expect(outcome.value).toEqual(output)
    },
  )
})

type RangeInput = { header: string; sizeBytes: number }
type RangeAnswer = { answer: { status: number; contentRange: string | null } }

describe("registry-profile: ranges", () => {
  test.each(vectorsOf<RangeInput, RangeAnswer>("registry-profile", "range"))(
    "$case: $comment",
    ({ input: { header, sizeBytes }, output }) => {
      const wish = parseRange(header)
      const range = wish && resolveRange(wish, sizeBytes)
      const part = range && `${range.start}-${range.end - 1}`
      const status = wish === undefined ? 200 : range === undefined ? 416 : 206
      const contentRange = wish === undefined ? null : `bytes ${part ?? "*"}/${sizeBytes}`
      expect({ status, contentRange }).toEqual(output?.answer)
    },
  )
})

type ErrorInput = { code: string; details: Record<string, unknown> }
type ErrorOutput = { status: number; code: string; retryAfter: string | null }

describe("registry-profile: errors", () => {
  test.each(vectorsOf<ErrorInput, ErrorOutput>("registry-profile", "error"))(
    "$case: $comment",
    ({ input, output }) => {
      const error = new CodedError(input.code, "what failed", { details: input.details })
      const answer = ociAnswer(error)
      const body = JSON.parse(Buffer.from(answer.body).toString()) as {
        errors: { code: string; message: string; detail: { code: string } }[]
      }
      expect(answer.status).toBe(output?.status)
      expect(answer.headers["retry-after"] ?? null).toBe(output?.retryAfter)
      expect(body.errors[0]).toMatchObject({
        code: output?.code,
        message: "what failed",
        detail: { code: input.code },
      })
    },
  )

  test("a fault of the program tells nothing of itself", () => {
    const answer = ociAnswer(new TypeError("cannot read secret of undefined"))
    expect(answer.status).toBe(500)
    expect(Buffer.from(answer.body).toString()).not.toContain("secret")
  })
})
