/**
 * Releases: list and show, publish, stage, open, verify, take back.
 * @module
 */
import { join } from "node:path"
import type { FastifyInstance } from "fastify"
import { parseBase64 } from "../core/byte-text.ts"
import { OPENED_FOLDER } from "../release/opened-root.ts"
import type { KnownRelease, Opener, ReleaseReport } from "../release/releases.ts"
import { clientSignal } from "./client-signal.ts"
import { blockedOf, membershipOf } from "./fleet-deps.ts"
import { sendLines } from "./line-stream.ts"
import { addPublishRoute } from "./publish-route.ts"
import type {
  Named,
  OpenLine,
  ReleaseContent,
  ReleaseDetails,
  ReleasesReport,
  ReleaseVerifyLine,
  StageLine,
} from "./release-api.ts"
import { contentOf } from "./release-content.ts"
import { type ReleaseDeps, type ReleaseRouteDeps, releasesOf } from "./release-deps.ts"
import { whileOpening } from "./release-fault.ts"
import { type AssetQuery, findRelease, parseReleaseReference, refOf } from "./release-reference.ts"
import { watchOf } from "./release-watch.ts"
import { fieldsOf, invalidRequest, required } from "./request.ts"

/** Releases in one answer. */
const RELEASES_MAX = 1024
/** A withdrawal is a statement of a few hundred bytes, in base64. */
const WITHDRAWAL_TEXT_MAX = 128 * 1024

/** Adds the routes to a server. @param options.data - data directory of the node */
export function addReleaseRoutes(
  app: FastifyInstance,
  deps: ReleaseRouteDeps,
  options: { readonly data: string },
): void {
  app.get("/v1/releases", async (request, reply): Promise<ReleasesReport> => {
    const { ref } = fieldsOf(request.query, { ref: "text" })
    const query = ref === undefined ? undefined : parseReleaseReference(ref)
    const releases = await releasesOf(deps, { signal: clientSignal(reply) })
    return { ...(await listReleases(releases, query)), blocked: blockedOf(deps) }
  })
  app.get("/v1/release", async (request, reply): Promise<ReleaseDetails> => {
    const ref = required(fieldsOf(request.query, { ref: "text" }).ref, "ref")
    const signal = clientSignal(reply)
    const release = await findRelease(deps, ref, { signal })
    const { opener } = await releasesOf(deps, { signal })
    return { ...(await reportOf(opener, release)), ...(await contentHere(deps, release)) }
  })
  app.post("/v1/release/withdraw", async (request, reply): Promise<Named<ReleaseReport>> => {
    const types = { ref: "text", reason: "link", envelope: "base64" } as const
    const { ref, reason, envelope } = fieldsOf(request.body, types)
    const signal = clientSignal(reply)
    const release = await findRelease(deps, required(ref, "ref"), { signal })
    const { publisher, opener } = await releasesOf(deps, { signal })
    await publisher.withdraw(release, required(reason, "reason"), envelopeOf(envelope))
    return await reportOf(opener, release)
  })
  addPublishRoute(app, deps)
  addWorkRoutes(app, deps, options)
}

function addWorkRoutes(
  app: FastifyInstance,
  deps: ReleaseRouteDeps,
  { data }: { readonly data: string },
): void {
  const { clock } = deps
  app.post("/v1/release/stage", async (request, reply) => {
    const ref = refIn(fieldsOf(request.body, { ref: "text" }).ref)
    return sendLines<StageLine>(reply, async (writer) => {
      const release = await findRelease(deps, ref, writer)
      const { opener } = await releasesOf(deps, writer)
      const staged = await opener.stage(release, watchOf(clock, writer))
      await writer.write({ type: "result", ref: refOf(release), ...staged })
    })
  })
  app.post("/v1/release/open", async (request, reply) => {
    const fields = fieldsOf(request.body, {
      ...{ ref: "text", path: "path" },
      ...{ unpack: "boolean", group: "text" },
    })
    const ref = refIn(fields.ref)
    return sendLines<OpenLine>(reply, async (writer) => {
      const release = await findRelease(deps, ref, writer)
      const folder = fields.path ?? openedFolder(data, release)
      const { opener } = await releasesOf(deps, writer)
      const { unpack, group } = fields
      const watch = { ...watchOf(clock, writer), unpack, group }
      const opened = await whileOpening(release, () => opener.open(release, folder, watch))
      await writer.write({ type: "result", ref: refOf(release), ...opened })
    })
  })
  app.post("/v1/release/verify", async (request, reply) => {
    const { isDeep = false, ...fields } = fieldsOf(request.body, { ref: "text", isDeep: "boolean" })
    const ref = refIn(fields.ref)
    return sendLines<ReleaseVerifyLine>(reply, async (writer) => {
      const release = await findRelease(deps, ref, writer)
      const watch = { ...watchOf(clock, writer), isDeep }
      const { opener } = await releasesOf(deps, writer)
      const verified = await opener.verify(release, watch)
      await writer.write({ type: "result", ref: refOf(release), ...verified })
    })
  })
}

/** Where a release is opened unless somebody says otherwise. */
function openedFolder(data: string, { release }: KnownRelease): string {
  const { namespace, name, sequence } = release.said.asset
  return join(data, OPENED_FOLDER, namespace, name, String(sequence))
}

async function listReleases(
  { book, opener }: Pick<ReleaseDeps, "book" | "opener">,
  query: AssetQuery | undefined,
): Promise<Omit<ReleasesReport, "blocked">> {
  const chosen = book.list().filter(({ release: { said } }) => {
    if (query === undefined) return true
    const { namespace, name, sequence } = said.asset
    const isNamed = namespace === query.namespace && name === query.name
    return isNamed && (query.sequence ?? sequence) === sequence
  })
  const releases: Named<ReleaseReport>[] = []
  for (const release of chosen.slice(0, RELEASES_MAX))
    releases.push(await reportOf(opener, release))
  return { releases, isTruncated: chosen.length > RELEASES_MAX }
}

/** Gives the report of a release, with its name. */
async function reportOf(
  opener: Pick<Opener, "report">,
  release: KnownRelease,
): Promise<Named<ReleaseReport>> {
  return { ref: refOf(release), ...(await opener.report(release)) }
}

async function contentHere(
  deps: ReleaseRouteDeps,
  { release }: KnownRelease,
): Promise<ReleaseContent> {
  const { said } = release
  const membership = membershipOf(deps)
  const policy = await membership.policy(said.asset.namespace)
  return contentOf(said, { access: membership.access(), policy })
}

/** A malformed reference is refused before the answer begins. */
function refIn(value: string | undefined): string {
  const ref = required(value, "ref")
  parseReleaseReference(ref)
  return ref
}

function envelopeOf(text: string | undefined): Uint8Array | undefined {
  if (text === undefined) return undefined
  const bytes = text.length > WITHDRAWAL_TEXT_MAX ? undefined : parseBase64(text)
  if (bytes === undefined) throw invalidRequest("field envelope is no withdrawal in base64")
  return bytes
}
