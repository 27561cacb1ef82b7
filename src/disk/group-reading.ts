/**
 * Files and folders that a group may read, and nobody else but their owner. The group is given first and
 * the permission last, so that at no moment another group has it.
 * @module
 */
import { constants, type Stats } from "node:fs"
import { type FileHandle, open, realpath, stat } from "node:fs/promises"
import { dirname } from "node:path"

const FILE_MODE = 0o640
const PROGRAM_MODE = 0o750
const FOLDER_MODE = 0o750
const GROUP_BITS = 0o070
const GROUP_PASSES = 0o010
/** Of the three bits of one class, and how far those of a group stand to the left. */
const PASS_BIT = 0o1
const CLASS_BITS = 0o7
const GROUP_SHIFT = 3
const PERMISSION_BITS = 0o777
const OWNER_STAYS = -1

/** A link in the place of the folder is not followed: what it leads to is not ours to give. */
const OPEN_FOLDER: number = constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW

/** Lets a group read a file, and run it if its owner may. */
export async function giveFile(
  file: FileHandle,
  { gid, isProgram }: { readonly gid: number; readonly isProgram: boolean },
): Promise<void> {
  await file.chown(OWNER_STAYS, gid)
  await file.chmod(isProgram ? PROGRAM_MODE : FILE_MODE)
}

/** Lets a group list a folder and go through it. */
export async function giveFolder(path: string, gid: number): Promise<void> {
  await using folder = await open(path, OPEN_FOLDER)
  await folder.chown(OWNER_STAYS, gid)
  await folder.chmod(FOLDER_MODE)
}

/** Tells whether something is a folder with what {@link giveFolder} gives. */
export function isGivenFolder(found: Stats, gid: number): boolean {
  return found.isDirectory() && found.gid === gid && (found.mode & PERMISSION_BITS) === FOLDER_MODE
}

/** Lets a group go through a folder, and not list it; who may already, is not given more. */
export async function letThrough(path: string, gid: number): Promise<void> {
  await using folder = await open(path, OPEN_FOLDER)
  const found = await folder.stat()
  if (passes(found, gid)) return
  const mode = found.mode & PERMISSION_BITS & ~GROUP_BITS
  await folder.chmod(mode)
  await folder.chown(OWNER_STAYS, gid)
  await folder.chmod(mode | GROUP_PASSES)
}

/**
 * Looks for a folder on the way to a path that a group cannot go through, by owners and permission bits;
 * access control lists are not looked at.
 * @returns the first from the top; undefined: there is none
 */
export async function closedFolder(path: string, gid: number): Promise<string | undefined> {
  let closed: string | undefined
  for (let folder = await realpath(path); ; folder = dirname(folder)) {
    if (!passes(await stat(folder), gid)) closed = folder
    if (folder === dirname(folder)) return closed
  }
}

/** Tells by owners and permission bits whether a group can go through a folder. */
export function passes(found: Owned, gid: number): boolean {
  return (permissionsOf(found, gid) & PASS_BIT) !== 0
}

/** Tells whether everybody can go through a folder, whoever it belongs to. */
export function passesAll({ mode }: Owned): boolean {
  return (mode & PASS_BIT) !== 0
}

/** Gives the three permission bits that count for a group: its own, or those of all others. */
export function permissionsOf({ gid: owner, mode }: Owned, gid: number): number {
  return (owner === gid ? mode >> GROUP_SHIFT : mode) & CLASS_BITS
}

interface Owned {
  readonly gid: number
  readonly mode: number
}
