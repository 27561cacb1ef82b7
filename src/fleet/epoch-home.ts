/**
 * Where a node keeps the secrets of groups' epochs, and how a new epoch begins (protocol/fleet.md §5,
 * epochs): `DATA/fleet/epochs/GROUP.EPOCH.key`.
 * @module
 */
import { join } from "node:path"
import { encodeBase64 } from "../core/byte-text.ts"
import { assert } from "../core/errors.ts"
import { isGroupName } from "../core/name.ts"
import { replaceFile } from "../disk/durable-file.ts"
import { namesIn } from "../disk/folder.ts"
import { type AgeIdentity, newIdentity } from "../seal/age-key.ts"
import { erase } from "../seal/release-key.ts"
import { PREVIOUS_MAX } from "./access-list.ts"
import { type EpochName, encodeEpoch, parseEpoch, sealEpoch } from "./epoch-document.ts"
import {
  eraseSecret,
  invalidSecret,
  makeSecretFolder,
  SECRET_MODE,
  useSecret,
  writeNewSecret,
} from "./secret-file.ts"

const FOLDER = "epochs"
const FILE = /^(?<group>.+)\.(?<epoch>[1-9]\d{0,15})\.key$/

/** Whose secrets these are, and where. */
export interface EpochHome {
  /** `DATA/fleet`. */
  readonly folder: string
  /** The fleet id: it stands in every document. */
  readonly fleet: string
}

/** The epoch before a new one, as far as it is known here. */
export interface EarlierEpoch {
  readonly identity: AgeIdentity
  /** `previous` of the group while this was its epoch. */
  readonly chain: readonly string[]
  /** How many earlier epochs the new one carries: those that a live release names. 16 unless told. */
  readonly keep?: number
}

/** What the access list says of a new epoch. */
export interface NewEpoch {
  readonly recipient: string
  /** Age files in base64, newest first. */
  readonly previous: readonly string[]
}

/**
 * Begins an epoch of a group. Its secret is durable before this resolves: an access list that names an
 * epoch whose secret is lost would shut everybody out. One that a crash left here, before a list named
 * it, is taken again.
 * @param epoch - from 1; with `previous` from 2
 * @throws FleetError `SECRET_FILE_INVALID`
 * @throws Error a fault of the file system, with its code
 */
export async function createEpoch(
  home: EpochHome,
  group: string,
  epoch: number,
  previous?: EarlierEpoch,
): Promise<NewEpoch> {
  const { recipient } = await loadOrMake(home, group, epoch)
  if (previous === undefined) return { recipient, previous: [] }
  assert(epoch > 1, "an epoch before the first is none")
  const keep = Math.min(previous.keep ?? PREVIOUS_MAX, PREVIOUS_MAX)
  if (keep <= 0) return { recipient, previous: [] }
  const before = { fleet: home.fleet, group, epoch: epoch - 1 }
  const sealed = await sealEpoch(before, previous.identity, recipient)
  return { recipient, previous: [encodeBase64(sealed), ...previous.chain].slice(0, keep) }
}

/**
 * Reads the secret of an epoch.
 * @returns undefined when it is not kept here
 * @throws FleetError `SECRET_FILE_INVALID`
 */
export async function readEpoch(
  home: EpochHome,
  group: string,
  epoch: number,
): Promise<AgeIdentity | undefined> {
  const path = pathOf(home, group, epoch)
  return await useSecret(path, async (bytes) => {
    const identity = await parseEpoch(bytes, nameOf(home, group, epoch))
    if (identity === undefined) throw invalidSecret(path, "it is not of this epoch")
    return identity
  })
}

/** Keeps the secret of an epoch, in place of what is kept of it. */
export async function keepEpoch(
  home: EpochHome,
  { group, epoch }: Pick<EpochName, "group" | "epoch">,
  identity: AgeIdentity,
): Promise<void> {
  await makeSecretFolder(join(home.folder, FOLDER))
  const bytes = encodeEpoch(nameOf(home, group, epoch), identity)
  await replaceFile(pathOf(home, group, epoch), bytes, SECRET_MODE)
  erase([bytes])
}

/** Erases the secret of an epoch, if it is kept here. */
export async function eraseEpoch(home: EpochHome, group: string, epoch: number): Promise<void> {
  await eraseSecret(pathOf(home, group, epoch))
}

/** Gives the epochs of a group whose secrets are kept here, oldest first. */
export async function keptEpochs(home: EpochHome, group: string): Promise<readonly number[]> {
  const epochs = (await namesIn(join(home.folder, FOLDER))).flatMap((name) => {
    const found = FILE.exec(name)?.groups
    return found?.group === group ? [Number(found.epoch)] : []
  })
  return epochs.sort((left, right) => left - right)
}

async function loadOrMake(home: EpochHome, group: string, epoch: number): Promise<AgeIdentity> {
  const found = await readEpoch(home, group, epoch)
  if (found !== undefined) return found
  const made = await newIdentity()
  const bytes = encodeEpoch(nameOf(home, group, epoch), made)
  const isNew = await writeNewSecret(pathOf(home, group, epoch), bytes)
  // Somebody else made one at the same moment: that one counts.
  return isNew ? made : await loadOrMake(home, group, epoch)
}

const nameOf = ({ fleet }: EpochHome, group: string, epoch: number): EpochName => ({
  fleet,
  group,
  epoch,
})

/** A group's name has no slash, so the file lies in its folder. */
function pathOf({ folder }: EpochHome, group: string, epoch: number): string {
  assert(isGroupName(group) && Number.isSafeInteger(epoch) && epoch >= 1, "an epoch of a group")
  return join(folder, FOLDER, `${group}.${epoch}.key`)
}
