/**
 * What a node keeps of releases, in files that are there whole or not at all: the releases, what was
 * said of them, and what was found out (protocol/release.md §5, carrying).
 *
 * It is the node's own disk: whoever can write here can write the trusted root beside it. So what is
 * read back is looked at for its form, and nothing is decided by it that the policy of the day does
 * not bear out.
 * @module
 */
import { basename, dirname } from "node:path/posix"
import { type Digest, hexOf, isSha256Hex } from "../core/digest.ts"
import { encodeJson, type JsonObject } from "../core/json.ts"
import {
  countField,
  digestField,
  flagField,
  hasField,
  parseSection,
  type Section,
  sectionField,
  textField,
  textListField,
  textSetField,
} from "../core/section.ts"
import { ENVELOPE_BYTES_MAX } from "../trust/envelope.ts"
import { type PublicKey, parsePublicKey } from "../trust/public-key.ts"
import type { TufFiles } from "../trust/tuf/tuf-source.ts"
import { type AssetVersion, parseAssetVersion } from "./asset-name.ts"
import { refusal } from "./errors.ts"
import { EVIDENCE_BYTES_MAX } from "./evidence.ts"
import { GRANT_LIST_BYTES_MAX, PROVEN_GRANT_BYTES_MAX } from "./grant-list.ts"
import { parseWithdrawer, textOfWithdrawer, type Withdrawer } from "./withdrawal.ts"

const ROOT = "releases"
/** No namespace begins with this. */
const LISTED_NAME = `${ROOT}/_listed.json`
const STATE_NAME = "state.json"
const RELEASE_NAME = "release.json"
const VERSION = 1
const STATE_BYTES_MAX: number = 64 * 1024
/** More devices than any policy has. */
const DEVICES_MAX = 512
/** All metadata of a fleet has 32 MiB, and it is what lists them. */
const LISTED_BYTES_MAX: number = 32 * 1024 * 1024
const LISTED_MAX = 300_000
const STATEMENT = /^(?:approval|withdrawal)-[0-9a-f]{64}\.json$/

/** What was found out about a release, and stays so. */
export interface ReleaseMemory {
  /** Of the release's statement: no other of its name and sequence is taken. */
  readonly digest: Digest
  /** Whether it was accepted while its policy was the current one. */
  readonly wasAccepted: boolean
  /** The devices whose approvals counted when it was found approved. */
  readonly approved: readonly PublicKey[] | undefined
  readonly withdrawn: { readonly by: Withdrawer; readonly reason: string } | undefined
}

/** What is kept of one release. */
export interface KeptFiles {
  readonly asset: AssetVersion
  readonly memory: ReleaseMemory
  readonly envelope: Uint8Array | undefined
  readonly statements: readonly Uint8Array[]
}

/** The files of one node's releases. */
export class EvidenceFiles {
  readonly #files: TufFiles

  /** @param files - of the data directory; they lie below `releases` */
  constructor(files: TufFiles) {
    this.#files = files
  }

  /** Reads everything but grants. What is broken is left out, and told. */
  async load(onBroken: (name: string, error: unknown) => void): Promise<readonly KeptFiles[]> {
    const byFolder = Map.groupBy(await this.#files.list(ROOT), (name) => dirname(name))
    const kept: KeptFiles[] = []
    for (const [folder, names] of byFolder) {
      if (!names.includes(`${folder}/${STATE_NAME}`)) continue
      try {
        kept.push(await this.#loadOne(folder, names))
      } catch (error) {
        onBroken(folder, error)
      }
    }
    return kept
  }

  /** Gives the paths that the fleet listed when they were last looked at. */
  async listed(): Promise<ReadonlySet<string> | undefined> {
    const bytes = await this.#files.read(LISTED_NAME, { bytesMax: LISTED_BYTES_MAX })
    if (bytes === undefined) return undefined
    const section = parseOwn(bytes, LISTED_BYTES_MAX)
    return new Set(textListField(section, "paths", { max: LISTED_MAX }))
  }

  async writeListed(paths: ReadonlySet<string>): Promise<void> {
    const bytes = encodeJson({ v: VERSION, paths: [...paths] })
    await this.#files.write(LISTED_NAME, bytes)
  }

  async writeMemory(asset: AssetVersion, memory: ReleaseMemory): Promise<void> {
    await this.#write(asset, STATE_NAME, encodeMemory(memory))
  }

  async writeRelease(asset: AssetVersion, envelope: Uint8Array): Promise<void> {
    await this.#write(asset, RELEASE_NAME, envelope)
  }

  async writeStatement(
    asset: AssetVersion,
    { kind, digest }: { readonly kind: "approval" | "withdrawal"; readonly digest: Digest },
    envelope: Uint8Array,
  ): Promise<void> {
    await this.#write(asset, `${kind}-${hexOf(digest)}.json`, envelope)
  }

  /** Removes an approval, and the grants beside it. */
  async removeApproval(asset: AssetVersion, digest: Digest): Promise<void> {
    const hex = hexOf(digest)
    const folder = folderOf(asset)
    for (const name of await this.#files.list(folder)) {
      const own = name.slice(folder.length + 1)
      const isIts = own === `approval-${hex}.json` || own === listName(digest)
      if (isIts || own.startsWith(`grant-${hex}-`)) await this.#files.remove(name)
    }
  }

  /** Gives a whole list of grants; undefined when it is not here. */
  async readList(asset: AssetVersion, digest: Digest): Promise<Uint8Array | undefined> {
    return await this.#read(asset, listName(digest), GRANT_LIST_BYTES_MAX)
  }

  async writeList(asset: AssetVersion, digest: Digest, list: Uint8Array): Promise<void> {
    await this.#write(asset, listName(digest), list)
  }

  /** Gives a single grant that came from elsewhere. @param place - of its entry in the audience */
  async readGrant(
    asset: AssetVersion,
    digest: Digest,
    place: number,
  ): Promise<Uint8Array | undefined> {
    return await this.#read(asset, grantName(digest, place), PROVEN_GRANT_BYTES_MAX)
  }

  async writeGrant(
    asset: AssetVersion,
    { approval, place }: { readonly approval: Digest; readonly place: number },
    grant: Uint8Array,
  ): Promise<void> {
    await this.#write(asset, grantName(approval, place), grant)
  }

  async #loadOne(folder: string, names: readonly string[]): Promise<KeptFiles> {
    const parts = folder.slice(ROOT.length + 1).split("/")
    const asset = parseAssetVersion(`${parts.slice(0, -1).join("/")}@${parts.at(-1)}`)
    const bytes = await this.#read(asset, STATE_NAME, STATE_BYTES_MAX)
    const statements: Uint8Array[] = []
    for (const one of names) {
      if (!STATEMENT.test(basename(one))) continue
      const statement = await this.#files.read(one, { bytesMax: EVIDENCE_BYTES_MAX })
      if (statement !== undefined) statements.push(statement)
    }
    const envelope = await this.#read(asset, RELEASE_NAME, ENVELOPE_BYTES_MAX)
    return { asset, memory: parseMemory(bytes ?? new Uint8Array()), envelope, statements }
  }

  async #read(
    asset: AssetVersion,
    name: string,
    bytesMax: number,
  ): Promise<Uint8Array | undefined> {
    return await this.#files.read(`${folderOf(asset)}/${name}`, { bytesMax })
  }

  async #write(asset: AssetVersion, name: string, bytes: Uint8Array): Promise<void> {
    await this.#files.write(`${folderOf(asset)}/${name}`, bytes)
  }
}

/** Gives the folder of a release below the data directory. */
export function folderOf({ namespace, name, sequence }: AssetVersion): string {
  return `${ROOT}/${namespace}/${name}/${sequence}`
}

function listName(digest: Digest): string {
  return `grants-${hexOf(digest)}.json`
}

function grantName(digest: Digest, place: number): string {
  return `grant-${hexOf(digest)}-${place}.json`
}

function encodeMemory({ digest, wasAccepted, approved, withdrawn }: ReleaseMemory): Uint8Array {
  const fields: JsonObject = {
    v: VERSION,
    digest: hexOf(digest),
    wasAccepted,
    ...(approved !== undefined && { approved }),
    ...(withdrawn !== undefined && {
      withdrawn: { by: textOfWithdrawer(withdrawn.by), reason: withdrawn.reason },
    }),
  }
  return encodeJson(fields)
}

function parseMemory(bytes: Uint8Array): ReleaseMemory {
  const section = parseOwn(bytes, STATE_BYTES_MAX)
  return {
    digest: digestField(section, "digest"),
    wasAccepted: flagField(section, "wasAccepted"),
    approved: hasField(section, "approved") ? parseDevices(section) : undefined,
    withdrawn: hasField(section, "withdrawn") ? parseWithdrawn(section) : undefined,
  }
}

function parseDevices(section: Section): readonly PublicKey[] {
  const texts = textSetField(section, "approved", { max: DEVICES_MAX })
  return texts.filter(isSha256Hex).map(parsePublicKey)
}

function parseWithdrawn(section: Section): NonNullable<ReleaseMemory["withdrawn"]> {
  const fields = sectionField(section, "withdrawn")
  return { by: parseWithdrawer(fields), reason: textField(fields, "reason") }
}

function parseOwn(bytes: Uint8Array, bytesMax: number): Section {
  const section = parseSection(bytes, { bytesMax, refuse: refusal("RELEASE_STATE_INVALID") })
  countField(section, "v", { min: VERSION, max: VERSION })
  return section
}
