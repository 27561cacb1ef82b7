/**
 * Where the control socket lies: `DATA/control.sock`, or a shorter place when that path is too long.
 * @module
 */
import { createHash } from "node:crypto"
import { lstat, mkdir } from "node:fs/promises"
import { tmpdir, userInfo } from "node:os"
import { isAbsolute, join } from "node:path"
import { DaemonError } from "./errors.ts"

/** Longest path of a Unix socket on Linux: `sun_path` is 108 bytes, one is the end (unix(7)). */
const PATH_BYTES_MAX = 107
const PRIVATE_MODE = 0o700
const NAME_HEX_CHARS = 24

/**
 * Gives the path of the socket, and makes the private directory that it needs when it cannot lie in
 * the data directory.
 * @throws DaemonError `CONTROL_SOCKET_INVALID`
 */
export async function controlSocketPath(
  dataDirectory: string,
  env: Readonly<Record<string, string | undefined>>,
): Promise<string> {
  const own = join(dataDirectory, "control.sock")
  if (Buffer.byteLength(own) <= PATH_BYTES_MAX) return own
  const hash = createHash("sha256").update(dataDirectory).digest("hex").slice(0, NAME_HEX_CHARS)
  const runtime = env.XDG_RUNTIME_DIR ?? ""
  const directory = isAbsolute(runtime) ? runtime : await privateDirectory()
  const path = join(directory, `sealift-${hash}.sock`)
  if (Buffer.byteLength(path) <= PATH_BYTES_MAX) return path
  throw new DaemonError(
    "CONTROL_SOCKET_INVALID",
    `the path of the control socket is longer than ${PATH_BYTES_MAX} bytes: ${path}; choose a shorter --data`,
  )
}

/** Makes `TMP/sealift-UID`, and refuses one that somebody else has put there. */
async function privateDirectory(): Promise<string> {
  const { uid } = userInfo()
  const path = join(tmpdir(), `sealift-${uid}`)
  await mkdir(path, { recursive: true, mode: PRIVATE_MODE })
  const stat = await lstat(path)
  const isOurs = stat.isDirectory() && stat.uid === uid && (stat.mode & 0o077) === 0
  if (isOurs) return path
  throw new DaemonError(
    "CONTROL_SOCKET_INVALID",
    `${path} is not a directory of this user's own; choose a shorter --data or set XDG_RUNTIME_DIR`,
  )
}
