/**
 * Releases by file: bundles, approvals and gate grants that go over no network.
 * @module
 */
import type { FastifyInstance } from "fastify"
import { APPROVAL_FILE_BYTES_MAX, parseApprovalFile } from "../release/approval-file.ts"
import { formatAssetVersion } from "../release/asset-name.ts"
import { BUNDLE_BYTES_MAX } from "../release/release-bundle.ts"
import { ENVELOPE_BYTES_MAX } from "../trust/envelope.ts"
import { clientSignal } from "./client-signal.ts"
import { acceptRawBodies, rawBodyOf, sendRaw } from "./raw-body.ts"
import type { ApprovalReceipt, ImportReceipt } from "./release-api.ts"
import { type ReleaseRouteDeps, releasesOf } from "./release-deps.ts"
import { findRelease } from "./release-reference.ts"
import { fieldsOf, required } from "./request.ts"

/** Adds the routes to a server. */
export function addReleaseFileRoutes(app: FastifyInstance, deps: ReleaseRouteDeps): void {
  app.register(async (scope) => {
    acceptRawBodies(scope)
    addBundleRoutes(scope, deps)
    addApprovalRoute(scope, deps)
    addGateRoutes(scope, deps)
  })
}

function addBundleRoutes(scope: FastifyInstance, deps: ReleaseRouteDeps): void {
  scope.get("/v1/release/bundle", async (request, reply) => {
    const ref = required(fieldsOf(request.query, { ref: "text" }).ref, "ref")
    const signal = clientSignal(reply)
    const release = await findRelease(deps, ref, { signal })
    const { bundles } = await releasesOf(deps, { signal })
    return sendRaw(reply, await bundles.export(release))
  })
  const options = { bodyLimit: BUNDLE_BYTES_MAX }
  scope.post("/v1/release/bundle", options, async (request, reply): Promise<ImportReceipt> => {
    const { bundles } = await releasesOf(deps, { signal: clientSignal(reply) })
    const asset = await bundles.import(rawBodyOf(request.body))
    return { ref: formatAssetVersion(asset) }
  })
}

function addApprovalRoute(scope: FastifyInstance, deps: ReleaseRouteDeps): void {
  const options = { bodyLimit: APPROVAL_FILE_BYTES_MAX }
  scope.post("/v1/release/approval", options, async (request, reply): Promise<ApprovalReceipt> => {
    const { book } = await releasesOf(deps, { signal: clientSignal(reply) })
    const { approval, grants } = parseApprovalFile(rawBodyOf(request.body))
    const { said } = (await book.addApproval(approval, grants)).approval
    const release = book.find(said.release.asset)
    const content = release?.release.said.content
    const decision = release === undefined ? undefined : await book.decide(release)
    return {
      ref: formatAssetVersion(said.release.asset),
      party: said.party,
      device: said.device,
      missing: decision?.kind === "missing" ? decision.parties : [],
      gate: content?.visibility === "sealed" ? content.sealed.fields.gate : undefined,
    }
  })
}

function addGateRoutes(scope: FastifyInstance, deps: ReleaseRouteDeps): void {
  scope.post("/v1/release/gate-grant", async (request, reply) => {
    const fields = fieldsOf(request.body, { ref: "text", node: "text" })
    const [ref, node] = [required(fields.ref, "ref"), required(fields.node, "node")]
    const signal = clientSignal(reply)
    const release = await findRelease(deps, ref, { signal })
    const { opener } = await releasesOf(deps, { signal })
    return sendRaw(reply, await opener.grantGate(release, node))
  })
  const options = { bodyLimit: ENVELOPE_BYTES_MAX }
  scope.post(
    "/v1/release/gate-grant/import",
    options,
    async (request, reply): Promise<ImportReceipt> => {
      const { opener } = await releasesOf(deps, { signal: clientSignal(reply) })
      const asset = await opener.takeGateGrant(rawBodyOf(request.body))
      return { ref: formatAssetVersion(asset) }
    },
  )
}
