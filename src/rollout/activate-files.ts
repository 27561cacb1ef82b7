/**
 * Activating by a symbolic link to the opened files: who follows it finds the old release or the new
 * one, and never half of either.
 * @module
 */
import { lstat, readlink, realpath, rm, stat, symlink } from "node:fs/promises"
import { basename, dirname, join } from "node:path"
import { assert, codeOf, messageOf } from "../core/errors.ts"
import { DRAFT_SUFFIX, placeFile, syncFolder } from "../disk/durable-file.ts"
import { isWithin } from "../disk/folder.ts"
import { giveFolder } from "../disk/group-reading.ts"
import { makeDirectories } from "../disk/make-directories.ts"
import type { PeerId } from "../net/net.ts"
import { type RolloutAllow, refused, verifyLinkPath } from "./allowing.ts"
import { RolloutError } from "./errors.ts"
import { fillText, STAND_IN } from "./filled-text.ts"
import type { KindActivator } from "./kind-activator.ts"
import type { Activation } from "./plan.ts"

export type FilesActivation = Extract<Activation, { kind: "files" }>

/** Of folders that are made before a link; the node's umask takes from it. */
const FOLDER_MODE = 0o777

/**
 * Makes the adapter.
 * @param deps.openedFolder - the absolute folder below which releases are opened: a link that leads
 * there is ours, and nothing else is ever replaced or removed
 * @param deps.readersGid - the group that may read them, and so goes through the folders that are made
 */
export function filesActivator(deps: {
  readonly node: PeerId
  readonly allow: () => RolloutAllow
  readonly openedFolder: string
  readonly readersGid?: number | undefined
}): KindActivator<FilesActivation> {
  const { node, openedFolder } = deps
  const textOf = ({ path }: FilesActivation) => fillText(path, { ...STAND_IN, node })
  const placeOf = (activation: FilesActivation) =>
    placeWithin(deps.allow(), textOf(activation), deps.readersGid)
  return {
    async activate(activation, { path }, { signal }) {
      assert(isWithin(path, openedFolder), "a release is opened below the folder of releases")
      signal.throwIfAborted()
      await telling(activation, async () => {
        const target = await stat(path)
        if (!target.isDirectory()) throw failed(`${path} is no folder`)
        await setLink(await placeOf(activation), path, openedFolder)
      })
    },
    async isRunning(activation, { path }, { signal }) {
      signal.throwIfAborted()
      const leadsTo = await linkAt(textOf(activation)).catch(() => "unknown" as const)
      if (leadsTo === "unknown") return "unknown"
      return leadsTo?.to === path ? "yes" : "no"
    },
    async deactivate(activation, { signal }) {
      signal.throwIfAborted()
      await telling(activation, async () => {
        const found = await linkAt(textOf(activation))
        // What is not ours, nobody has activated.
        if (found?.to === undefined || !isWithin(found.to, openedFolder)) return
        const link = await placeOf(activation)
        await rm(link)
        await syncFolder(dirname(link))
      })
    },
  }
}

/**
 * Sets a link in one step. A crash before the rename leaves the old one, and a draft that the next try
 * replaces.
 */
async function setLink(link: string, target: string, openedFolder: string): Promise<void> {
  const draft = join(dirname(link), `.${basename(link)}.sealift${DRAFT_SUFFIX}`)
  await verifyOurs(link, openedFolder)
  await verifyOurs(draft, openedFolder)
  await rm(draft, { force: true })
  await symlink(target, draft)
  await placeFile(draft, link)
}

async function verifyOurs(link: string, openedFolder: string): Promise<void> {
  const found = await linkAt(link)
  if (found === undefined || (found.to !== undefined && isWithin(found.to, openedFolder))) return
  throw refused(
    `replaces nothing but links of its own, and ${link} is none`,
    "move it away, or let the plan name another path",
  )
}

/** Gives where a link leads; `to` is undefined for what is no link. @returns undefined for nothing */
async function linkAt(path: string): Promise<{ readonly to: string | undefined } | undefined> {
  try {
    const found = await lstat(path)
    return { to: found.isSymbolicLink() ? await readlink(path) : undefined }
  } catch (error) {
    if (["ENOENT", "ENOTDIR"].includes(codeOf(error) ?? "")) return undefined
    throw error
  }
}

/**
 * Gives the real path at which a link is set, and makes the folders before it. Whoever can write in an
 * allowed folder could still lead us astray between this and the rename; the node's owner named it.
 * @throws {@link RolloutError} `ACTIVATION_REFUSED` when links lead out of the allowed folders
 */
async function placeWithin(
  allow: RolloutAllow,
  path: string,
  readersGid: number | undefined,
): Promise<string> {
  verifyLinkPath(allow, path)
  const folders = await Promise.all(allow.files.map((folder) => realpath(folder).catch(() => "")))
  const verify = (real: string) => {
    if (folders.some((folder) => folder === real || (folder !== "" && isWithin(real, folder))))
      return
    throw refused(`sets no link in ${real}, where ${path} leads`, "add it to rollout.allow.files")
  }
  const parent = dirname(path)
  const standing = await deepestFolder(parent)
  verify(standing.real)
  const made = await makeDirectories(parent, FOLDER_MODE)
  if (readersGid !== undefined) for (const one of made) await giveFolder(one, readersGid)
  const real = await realpath(parent)
  verify(real)
  return join(real, basename(path))
}

/** Gives the deepest folder of a path that is there. */
async function deepestFolder(path: string): Promise<{ path: string; real: string }> {
  try {
    return { path, real: await realpath(path) }
  } catch (error) {
    if (codeOf(error) !== "ENOENT" || path === dirname(path)) throw error
    return deepestFolder(dirname(path))
  }
}

async function telling(activation: FilesActivation, work: () => Promise<void>): Promise<void> {
  try {
    await work()
  } catch (error) {
    if (error instanceof RolloutError) throw error
    throw failed(`cannot set the link ${activation.path}: ${messageOf(error)}`, error)
  }
}

function failed(message: string, cause?: unknown): RolloutError {
  return new RolloutError("ACTIVATION_FAILED", message, { cause })
}
