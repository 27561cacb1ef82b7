/** Tar files block by block, so that anything can be wrong with them (POSIX pax, ustar). */
export interface TarEntry {
  readonly name: string
  /** One character; `0` a file, `5` a folder, `1` and `2` links. */
  readonly type?: string
  readonly mode?: number
  readonly content?: Uint8Array | string
  /** What the header says, where that is not the length of the content. */
  readonly size?: number
  readonly link?: string
  /** Fields of an extended header before it. */
  readonly pax?: Readonly<Record<string, string>>
}

const BLOCK_BYTES = 512
export const TAR_END: Uint8Array = new Uint8Array(2 * BLOCK_BYTES)

/** Writes a whole archive. */
export function tarOf(entries: readonly TarEntry[]): Buffer {
  return Buffer.concat([...entries.map(entryOf), TAR_END])
}

/** Writes one entry: its header and its content in whole blocks. */
export function entryOf({ pax, ...entry }: TarEntry): Buffer {
  const extended =
    pax === undefined ? [] : [entryOf({ name: "pax", type: "x", content: paxOf(pax) })]
  const content = Buffer.from(entry.content ?? "")
  const padding = Buffer.alloc((BLOCK_BYTES - (content.length % BLOCK_BYTES)) % BLOCK_BYTES)
  return Buffer.concat([...extended, headerOf(entry, content.length), content, padding])
}

function headerOf(entry: TarEntry, length: number): Buffer {
  const { name, type = "0", mode = 0o644, size = length, link = "" } = entry
  const block = Buffer.alloc(BLOCK_BYTES)
  block.write(name, 0, 100)
  block.write(octal(mode, 7), 100)
  block.write(octal(0, 7), 108)
  block.write(octal(0, 7), 116)
  block.write(octal(size, 11), 124)
  block.write(octal(0, 11), 136)
  block.write(type, 156, 1)
  block.write(link, 157, 100)
  block.write("ustar\u000000", 257)
  block.fill(" ", 148, 156)
  const sum = block.reduce((total, byte) => total + byte, 0)
  block.write(`${octal(sum, 6)}\0 `, 148)
  return block
}

const octal = (value: number, digits: number): string => value.toString(8).padStart(digits, "0")

function paxOf(fields: Readonly<Record<string, string>>): string {
  return Object.entries(fields).map(recordOf).join("")
}

/** A record begins with its own length. */
function recordOf([key, value]: readonly [string, string]): string {
  const rest = ` ${key}=${value}\n`
  const bare = Buffer.byteLength(rest)
  const length = bare + `${bare}`.length
  return `${`${length}`.length === `${bare}`.length ? length : length + 1}${rest}`
}
