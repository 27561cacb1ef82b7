/**
 * The predicate of a release: each field within its bound (protocol/release.md §4, the release).
 * @module
 */
import { rawOf } from "../core/digest.ts"
import type { JsonObject } from "../core/json.ts"
import { PARTIES_MAX } from "../core/limits.ts"
import { isName, isPartyName } from "../core/name.ts"
import {
  choiceField,
  countField,
  hasField,
  invalidField,
  optionalCountField,
  type Section,
  sectionField,
  sectionListField,
  textField,
  textSetField,
  verifyAbsent,
} from "../core/section.ts"
import type { GateMode } from "../seal/context.ts"
import { type AssetVersion, formatAssetVersion, isAssetName } from "./asset-name.ts"
import { audienceField } from "./audience.ts"
import { refusal } from "./errors.ts"
import type { PlainContent, Release, Requirement, SealedContent } from "./release.ts"
import {
  encodePlainFile,
  encodeSealedFile,
  plainFilesField,
  sealedFilesField,
} from "./release-file.ts"
import { encodeSeal, sealField } from "./release-seal.ts"
import {
  encodeFileVersion,
  encodeNamedRelease,
  fileVersionField,
  namedReleaseField,
} from "./signed.ts"
import { encodeVariant, variantsField } from "./variant.ts"

/** All that a reader of releases knows (protocol/envelope.md §5, reading 7). */
export const RELEASE_FIELDS: readonly string[] = [
  ...["namespace", "name", "sequence", "createdAt", "expiresAt", "floor", "policy", "parties"],
  ...["visibility", "audience", "gate", "files", "variants", "requires", "activation", "reissues"],
  "seal",
]
const SEALED_FIELDS: readonly string[] = ["audience", "gate", "seal"]
/** Longest life of a release: three years, one of them a leap year. */
export const LIFE_MS_MAX: number = (3 * 365 + 1) * 24 * 60 * 60 * 1000
export const REQUIRES_MAX = 16
const GATE_MODES: readonly GateMode[] = ["open", "hold", "none"]

/** What concerns every kind of content. */
type Core = Omit<Release, "content" | "variants">

/**
 * Reads a predicate; that it is signed, and of this fleet, was looked at before.
 * @throws {@link ReleaseError} `RELEASE_INVALID`
 */
export function parsePredicate(predicate: JsonObject, fleet: string): Release {
  const section: Section = { fields: predicate, place: "", refuse: refusal("RELEASE_INVALID") }
  const core = parseCore(section, fleet)
  const visibility = choiceField(section, "visibility", ["sealed", "fleet", "public"])
  const content =
    visibility === "sealed" ? parseSealed(section, core) : parsePlain(section, visibility)
  const { length } = content.visibility === "sealed" ? content.sealed.files : content.files
  return { ...core, content, variants: variantsField(section, length) }
}

/** Writes all fields but `fleet`. */
export function encodePredicate(release: Release): JsonObject {
  const { asset, content, floor, requires, activation, reissues } = release
  return {
    namespace: asset.namespace,
    name: asset.name,
    sequence: asset.sequence,
    createdAt: release.createdAtMs,
    expiresAt: release.expiresAtMs,
    ...(floor !== undefined && { floor }),
    policy: encodeFileVersion(release.policy),
    parties: release.parties,
    ...encodeContent(content),
    variants: release.variants.map(encodeVariant),
    ...(requires.length > 0 && { requires: requires.map(encodeNamedRelease) }),
    ...(activation !== undefined && { activation }),
    ...(reissues !== undefined && { reissues }),
    ...(content.visibility === "sealed" && { seal: encodeSeal(content.sealed) }),
  }
}

function encodeContent(content: Release["content"]): JsonObject {
  const { visibility } = content
  if (visibility !== "sealed") return { visibility, files: content.files.map(encodePlainFile) }
  const { fields, files } = content.sealed
  const { audience, gate } = fields
  return { visibility, audience, gate, files: files.map(encodeSealedFile) }
}

function parseCore(section: Section, fleet: string): Core {
  const asset = parseAsset(section)
  const { sequence } = asset
  const createdAtMs = countField(section, "createdAt")
  const expiresAtMs = countField(section, "expiresAt", { min: createdAtMs + 1 })
  if (expiresAtMs - createdAtMs > LIFE_MS_MAX) {
    throw invalidField(section, "expiresAt", { reason: "more than three years" })
  }
  return {
    fleet,
    asset,
    createdAtMs,
    expiresAtMs,
    floor: optionalCountField(section, "floor", { min: 1, max: sequence }),
    policy: fileVersionField(sectionField(section, "policy")),
    parties: parseParties(section),
    requires: parseRequires(section, asset),
    activation: parseActivation(section),
    reissues: optionalCountField(section, "reissues", { min: 1, max: sequence - 1 }),
  }
}

function parseAsset(section: Section): AssetVersion {
  const namespace = textField(section, "namespace")
  if (!isName(namespace)) throw invalidField(section, "namespace", { reason: "no namespace" })
  const name = textField(section, "name")
  if (!isAssetName(name)) throw invalidField(section, "name", { reason: "no name" })
  return { namespace, name, sequence: countField(section, "sequence", { min: 1 }) }
}

function parseParties(section: Section): readonly string[] {
  const parties = textSetField(section, "parties", { min: 1, max: PARTIES_MAX })
  if (!parties.every(isPartyName)) {
    throw invalidField(section, "parties", { reason: "one that no party is called" })
  }
  return parties
}

function parsePlain(section: Section, visibility: PlainContent["visibility"]): PlainContent {
  verifyAbsent(section, SEALED_FIELDS)
  return { visibility, files: plainFilesField(section) }
}

function parseSealed(section: Section, { fleet, asset, parties, policy }: Core): SealedContent {
  const gate = choiceField(section, "gate", GATE_MODES)
  const fields = {
    ...asset,
    fleet: Uint8Array.from(Buffer.from(fleet, "hex")),
    parties,
    policy: rawOf(policy.digest),
    audience: audienceField(section, gate),
    gate,
  }
  const sealed = sealField(section, { fields, files: sealedFilesField(section) })
  return { visibility: "sealed", sealed }
}

function parseRequires(section: Section, asset: AssetVersion): readonly Requirement[] {
  const name = "requires"
  if (!hasField(section, name)) return []
  const requires = sectionListField(section, name, { max: REQUIRES_MAX }).map(namedReleaseField)
  const texts = requires.map((one) => formatAssetVersion(one.asset))
  if (new Set([...texts, formatAssetVersion(asset)]).size <= texts.length) {
    throw invalidField(section, name, { reason: "one twice, or the release itself" })
  }
  return requires
}

/** What it says is for who activates; here it only is an object. */
function parseActivation(section: Section): JsonObject | undefined {
  return hasField(section, "activation") ? sectionField(section, "activation").fields : undefined
}
