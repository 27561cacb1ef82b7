/**
 * Publishing: paths of this machine become a release, with lines of progress.
 * @module
 */
import type { FastifyInstance } from "fastify"
import type { PolicyReceipt } from "../fleet/fleet-desk.ts"
import { formatAssetVersion, parseAssetVersion } from "../release/asset-name.ts"
import type { PublishRequest, VariantPaths } from "../release/releases.ts"
import { encodeActivation } from "../rollout/activation-field.ts"
import { parseActivationFile } from "../rollout/activation-file.ts"
import { clientSignal } from "./client-signal.ts"
import { sendLines } from "./line-stream.ts"
import { type PartyWish, partiesOf } from "./policy-request.ts"
import { ensureParties, PARTIES_BODY_BYTES_MAX } from "./policy-routes.ts"
import type { PublishLine } from "./release-api.ts"
import { type ReleaseRouteDeps, releasesOf } from "./release-deps.ts"
import { parseAssetName } from "./release-reference.ts"
import { watchOf } from "./release-watch.ts"
import { choiceOf, fieldsOf, required } from "./request.ts"

const VARIANT_FIELDS = { slots: "labels", paths: "paths" } as const
const FIELDS = {
  name: "text",
  paths: "paths",
  image: "text",
  visibility: "text",
  audience: "texts",
  gate: "text",
  lifeMs: "count",
  floor: "count",
  requires: "texts",
  inspectors: "links",
  slots: "labels",
  variants: "objects",
  reissues: "count",
  unpack: "boolean",
  activation: "object",
  parties: "objects",
} as const

/** Adds the route to a server. */
export function addPublishRoute(app: FastifyInstance, deps: ReleaseRouteDeps): void {
  const options = { bodyLimit: PARTIES_BODY_BYTES_MAX }
  app.post("/v1/releases", options, async (request, reply) => {
    const { request: wish, parties } = readBody(request.body)
    const { publisher } = await releasesOf(deps, { signal: clientSignal(reply) })
    return sendLines<PublishLine>(reply, async (writer) => {
      const policy = await policyFor(deps, wish.namespace, parties)
      if (policy !== undefined) await writer.write({ type: "policy", ...policy })
      const published = await publisher.publish(wish, watchOf(deps.clock, writer))
      const ref = formatAssetVersion(published.asset)
      await writer.write({ type: "result", ref, ...published })
    })
  })
}

async function policyFor(
  deps: ReleaseRouteDeps,
  namespace: string,
  parties: readonly PartyWish[] | undefined,
): Promise<PolicyReceipt | undefined> {
  return parties === undefined ? undefined : await ensureParties(deps, namespace, parties)
}

function readBody(body: unknown): {
  readonly request: PublishRequest
  readonly parties: readonly PartyWish[] | undefined
} {
  const fields = fieldsOf(body, FIELDS)
  const { name, paths = [], visibility, audience = [], gate, parties, ...others } = fields
  const { variants, activation, requires, ...rest } = others
  const request = {
    ...rest,
    ...nameOf(required(name, "name")),
    ...(activation !== undefined && {
      activation: encodeActivation(parseActivationFile(activation)),
    }),
    ...(variants !== undefined && { variants: variants.map(readVariant) }),
    ...(requires !== undefined && { requires: requires.map(parseAssetVersion) }),
    paths,
    audience,
    visibility: choiceOf(visibility ?? "fleet", "visibility", ["sealed", "fleet", "public"]),
    gate: choiceOf(gate ?? "open", "gate", ["open", "hold", "none"]),
  }
  return { request, parties: parties === undefined ? undefined : partiesOf(parties) }
}

function nameOf(text: string): ReturnType<typeof parseAssetName> {
  return parseAssetName(text, text, "NAMESPACE/NAME, in lower case, and gets its number by itself")
}

function readVariant(variant: object): VariantPaths {
  const { slots = {}, paths = [] } = fieldsOf(variant, VARIANT_FIELDS)
  return { slots, paths }
}
