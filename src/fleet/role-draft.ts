/**
 * A change of the fleet's files that keys in several places have to sign, as one file: what is newest,
 * what shall follow, and the signatures so far (protocol/tuf-profile.md §4, drafts).
 * @module
 */
import { encodeBase64, parseBase64 } from "../core/byte-text.ts"
import { encodeJson } from "../core/json.ts"
import {
  fleetField,
  hasField,
  invalidField,
  parseSection,
  type Refuse,
  type Section,
  sectionListField,
  textField,
} from "../core/section.ts"
import type { PeerId } from "../net/net.ts"
import { encodeDraft, parseRootDraft, parseTargetsDraft } from "../trust/tuf/fleet-repository.ts"
import type { NamedBytes } from "../trust/tuf/publication.ts"
import { hexSha256, signedBytesOf } from "../trust/tuf/tuf-bytes.ts"
import type { FleetChange } from "../trust/tuf/tuf-desk.ts"
import { TARGET_BYTES_MAX } from "../trust/tuf/tuf-limits.ts"
import { peerField } from "./access-field.ts"
import { FleetError } from "./errors.ts"
import { FLEET_FILES_BYTES_MAX, fleetFilesIn, fleetFilesJson } from "./fleet-files.ts"

/** Largest draft. */
export const DRAFT_BYTES_MAX: number = FLEET_FILES_BYTES_MAX
/**
 * Roles whose files are drafted. What a targets file's signature covers does not say whose it is: a file
 * that was shown as another role's could be published as that of targets.
 */
const DRAFTED_ROLES: readonly string[] = ["root", "targets"]
/** Target files that come with a draft. */
const PATHS_MAX = 4_096
const PATH_CHARACTERS_MAX = 512

/** What a draft changes. */
export type DraftChange = Pick<FleetChange, "root" | "targets" | "contents">

/** A draft. Nothing in it is believed before it was read over what a fleet has signed. */
export interface RoleDraft {
  readonly fleet: string
  /** All files of the fleet that it follows; none when it founds one. */
  readonly files: readonly NamedBytes[]
  readonly change: DraftChange
  /** Of a draft that founds a fleet: the node that wrote it, by its own word, and can alone submit it. */
  readonly founder?: PeerId
}

/** A draft that founds a fleet. */
export type FoundingDraft = RoleDraft & {
  readonly change: Required<Pick<DraftChange, "root" | "targets">>
  readonly founder: PeerId
}

const refuse: Refuse = (reason, cause) =>
  new FleetError("DRAFT_INVALID", `the draft is refused: ${reason}`, { cause })

/** Writes a draft. @throws {@link FleetError} `DRAFT_INVALID` when it is too large */
export function encodeRoleDraft({ fleet, files, change, founder }: RoleDraft): Uint8Array {
  const draft = encodeJson({
    v: 1,
    fleet,
    ...(founder === undefined ? {} : { founder }),
    files: fleetFilesJson(files),
    draft: [...filesOfChange(change)].map(([role, file]) => {
      return { role, bytes: encodeBase64(encodeDraft(file)) }
    }),
    contents: [...(change.contents ?? [])].map(([path, bytes]) => {
      return { path, bytes: encodeBase64(bytes) }
    }),
  })
  if (draft.length > DRAFT_BYTES_MAX) throw refuse(`${draft.length} bytes`)
  return draft
}

/** Reads a draft. @throws {@link FleetError} `DRAFT_INVALID`; TrustError `TUF_MALFORMED` */
export function parseRoleDraft(bytes: Uint8Array): RoleDraft {
  const section = parseSection(bytes, { bytesMax: DRAFT_BYTES_MAX, refuse })
  const fleet = fleetField(section)
  const drafts = sectionListField(section, "draft", { max: DRAFTED_ROLES.length })
  const files = new Map(drafts.map((one) => [textField(one, "role"), bytesOf(one)]))
  const isKnown = [...files.keys()].every((role) => DRAFTED_ROLES.includes(role))
  if (files.size === 0 || files.size < drafts.length || !isKnown) {
    throw invalidField(section, "draft", { reason: "it is not root, targets or both" })
  }
  const contents = sectionListField(section, "contents", { max: PATHS_MAX })
  const [root, targets] = ["root", "targets"].map((role) => files.get(role))
  const change: DraftChange = {
    ...(root === undefined ? {} : { root: parseRootDraft(root) }),
    ...(targets === undefined ? {} : { targets: parseTargetsDraft("targets", targets) }),
    contents: new Map(contents.map((one) => [pathOf(one), bytesOf(one)])),
  }
  const draft = { fleet, files: fleetFilesIn(section), change }
  if (!hasField(section, "founder")) return draft
  const founding = { ...draft, founder: peerField(section, "founder") }
  if (isFounding(founding)) return founding
  throw invalidField(section, "founder", {
    reason: "what founds has root and targets, and no files",
  })
}

/** Whether a draft founds a fleet, and so follows nothing. */
export function isFounding(draft: RoleDraft): draft is FoundingDraft {
  const { founder, files, change } = draft
  const isWhole = change.root !== undefined && change.targets !== undefined
  return founder !== undefined && files.length === 0 && isWhole
}

/** Gives the files that a change has, by role: the root first. */
export function filesOfChange({ root, targets }: DraftChange): ReadonlyMap<string, DraftFile> {
  return new Map<string, DraftFile>([
    ...(root === undefined ? [] : [["root", root] as const]),
    ...(targets === undefined ? [] : [["targets", targets] as const]),
  ])
}

/** A file that is drafted. */
export type DraftFile = Parameters<typeof encodeDraft>[0]

/** Gives a change with other files in the place of its own. */
export function withDraftFiles<Change extends DraftChange>(
  change: Change,
  make: (role: string, file: DraftFile) => DraftFile,
): Change {
  const made = <T extends DraftFile>(role: string, file: T) => make(role, file) as T
  const { root, targets } = change
  return {
    ...change,
    ...(root === undefined ? {} : { root: made("root", root) }),
    ...(targets === undefined ? {} : { targets: made("targets", targets) }),
  }
}

/** What tells drafts apart: all that is signed. */
export function digestOfDraft({ fleet, change }: Pick<RoleDraft, "fleet" | "change">): string {
  const files = [...filesOfChange(change)].map(([role, file]) => {
    return `${role} ${hexSha256(signedBytesOf(file))}`
  })
  return [fleet, ...files.toSorted()].join("\n")
}

function pathOf(section: Section): string {
  const path = textField(section, "path")
  if (path.length <= PATH_CHARACTERS_MAX) return path
  throw invalidField(section, "path", { reason: "too long" })
}

function bytesOf(section: Section): Uint8Array {
  const bytes = parseBase64(textField(section, "bytes"))
  if (bytes === undefined || bytes.length > TARGET_BYTES_MAX) {
    throw invalidField(section, "bytes", { reason: "no base64, or too long" })
  }
  return bytes
}
