/**
 * The groups of this machine, by the name or the number that somebody wrote. Node has no way to ask the
 * system for a name, so names are those of /etc/group; a group of a directory server (LDAP, sssd,
 * systemd's own) is written by its number.
 * @module
 */
import { open } from "node:fs/promises"

const GROUP_FILE = "/etc/group"
/** Many times what machines with thousands of groups have. */
const FILE_BYTES_MAX: number = 4 * 1024 * 1024
const NAME_CHARS_MAX = 256
/** The number after it, 2^32−1, means "leave as it is" to the system. */
const ID_MAX = 0xffff_fffe
const NUMBER = /^(0|[1-9][0-9]{0,9})$/
const ID_FIELD = 2

/** Tells whether a text can be the name or the number of a group. */
export function isGroupText(text: string): boolean {
  if (/^[0-9]+$/.test(text)) return NUMBER.test(text) && Number(text) <= ID_MAX
  return text.length <= NAME_CHARS_MAX && /^[^\s:,\p{C}-][^:,\p{C}]*$/u.test(text)
}

/**
 * Gives the number of a group. Every number is one, since none needs a name.
 * @param text - as {@link isGroupText}
 * @param file - lines `NAME:PASSWORD:NUMBER:MEMBERS`
 * @returns undefined when no group has this name, or the file cannot be read whole
 */
export async function findGroup(
  text: string,
  file: string = GROUP_FILE,
): Promise<number | undefined> {
  if (!isGroupText(text)) return undefined
  if (NUMBER.test(text)) return Number(text)
  for (const line of (await readLines(file)) ?? []) {
    const fields = line.split(":")
    const id = fields[ID_FIELD] ?? ""
    if (fields[0] === text && NUMBER.test(id) && Number(id) <= ID_MAX) return Number(id)
  }
  return undefined
}

async function readLines(path: string): Promise<readonly string[] | undefined> {
  try {
    await using file = await open(path)
    if ((await file.stat()).size > FILE_BYTES_MAX) return undefined
    return (await file.readFile("utf8")).split("\n")
  } catch {
    // A machine without the file, as some containers are, has numbers only.
    return undefined
  }
}
