/**
 * A release for the road, such as `m.release`: all that a device without a network needs to know what
 * it approves, and a site to open it (protocol/release.md §4, a release for the road).
 * @module
 */
import { encodeBase64 } from "../core/byte-text.ts"
import { codeOf } from "../core/errors.ts"
import { encodeJson } from "../core/json.ts"
import {
  bytesField,
  fleetField,
  hasField,
  invalidField,
  parseSection,
  type Section,
  sectionListField,
  textField,
} from "../core/section.ts"
import { NODES_MAX } from "../fleet/access-list.ts"
import { fleetFilesIn } from "../fleet/fleet-files.ts"
import { NODE_KEY_BYTES_MAX } from "../fleet/node-key.ts"
import type { NamedBytes } from "../trust/tuf/publication.ts"
import { type CarriedApproval } from "./approval-file.ts"
import { type AssetVersion, formatAssetVersion, parseAssetVersion } from "./asset-name.ts"
import { ReleaseError, refusal } from "./errors.ts"
import { EVIDENCE_BYTES_MAX } from "./evidence.ts"
import { GRANT_LIST_BYTES_MAX } from "./grant-list.ts"

/** Largest file. */
export const BUNDLE_BYTES_MAX: number = 64 * 1024 * 1024
const VERSION = 1
/** More statements than are kept of a release. */
const STATEMENTS_MAX = 512
const NAME_CHARACTERS_MAX = 64

/** What a bundle holds. Nothing in it is trusted. */
export interface ReleaseBundle {
  /** The fleet id, and what its operator calls it. */
  readonly fleet: string
  readonly name: string
  readonly asset: AssetVersion
  /** Files of the fleet's repository, those of the access list, the policy and the release too. */
  readonly files: readonly NamedBytes[]
  /** Node-key statements of nodes that the audience names. */
  readonly nodeKeys: readonly Uint8Array[]
  readonly approvals: readonly CarriedApproval[]
  readonly withdrawals: readonly Uint8Array[]
}

/**
 * Writes a bundle. Lists of grants that would make it too large are left out: nodes ask for them.
 * @throws {@link ReleaseError} `BUNDLE_INVALID` when it is too large without them
 */
export function encodeBundle(bundle: ReleaseBundle): Uint8Array {
  const { fleet, name, asset } = bundle
  const withGrants = (approvals: ReleaseBundle["approvals"]) =>
    encodeJson({
      v: VERSION,
      fleet,
      name,
      release: formatAssetVersion(asset),
      files: bundle.files.map((file) => ({ name: file.name, bytes: encodeBase64(file.bytes) })),
      nodeKeys: bundle.nodeKeys.map((statement) => ({ statement: encodeBase64(statement) })),
      approvals: approvals.map(({ approval, grants }) => ({
        statement: encodeBase64(approval),
        ...(grants !== undefined && { grants: encodeBase64(grants) }),
      })),
      withdrawals: bundle.withdrawals.map((statement) => ({ statement: encodeBase64(statement) })),
    })
  const bare = bundle.approvals.map(({ approval }) => ({ approval, grants: undefined }))
  const grantBytes = bundle.approvals.reduce((sum, one) => sum + (one.grants?.length ?? 0), 0)
  const isShort = grantBytes < BUNDLE_BYTES_MAX / 2
  const bytes = withGrants(isShort ? bundle.approvals : bare)
  if (bytes.length <= BUNDLE_BYTES_MAX) return bytes
  const smaller = isShort ? withGrants(bare) : bytes
  if (smaller.length <= BUNDLE_BYTES_MAX) return smaller
  const message = `${smaller.length} bytes in one file, at most ${BUNDLE_BYTES_MAX}`
  throw new ReleaseError("BUNDLE_INVALID", message)
}

/** Reads a bundle: its form only. @throws {@link ReleaseError} `BUNDLE_INVALID` */
export function parseBundle(file: Uint8Array): ReleaseBundle {
  const refuse = refusal("BUNDLE_INVALID", "release's file")
  const section = parseSection(file, { bytesMax: BUNDLE_BYTES_MAX, refuse })
  const files = fleetFilesIn(section)
  const fleet = fleetField(section)
  const name = textField(section, "name")
  if (name.length > NAME_CHARACTERS_MAX) throw invalidField(section, "name", { reason: "too long" })
  return {
    fleet,
    name,
    asset: parseAsset(section),
    files,
    nodeKeys: parseStatements(section, "nodeKeys", { count: NODES_MAX, max: NODE_KEY_BYTES_MAX }),
    approvals: sectionListField(section, "approvals", { max: STATEMENTS_MAX }).map(parseApproval),
    withdrawals: parseStatements(section, "withdrawals", {
      count: STATEMENTS_MAX,
      max: EVIDENCE_BYTES_MAX,
    }),
  }
}

function parseAsset(section: Section): AssetVersion {
  try {
    return parseAssetVersion(textField(section, "release"))
  } catch (cause) {
    if (codeOf(cause) !== "ASSET_VERSION_INVALID") throw cause
    throw invalidField(section, "release", { reason: "no version of an asset", cause })
  }
}

function parseApproval(section: Section): CarriedApproval {
  const approval = bytesField(section, "statement", { max: EVIDENCE_BYTES_MAX })
  if (!hasField(section, "grants")) return { approval, grants: undefined }
  return { approval, grants: bytesField(section, "grants", { max: GRANT_LIST_BYTES_MAX }) }
}

function parseStatements(
  section: Section,
  name: string,
  { count, max }: { readonly count: number; readonly max: number },
): readonly Uint8Array[] {
  const sections = sectionListField(section, name, { max: count })
  return sections.map((one) => bytesField(one, "statement", { max }))
}
