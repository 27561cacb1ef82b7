/**
 * The clients of the next Debian, in a root of their own: programs are run there by a prefix.
 * @module
 */
import { createHash } from "node:crypto"
import { existsSync } from "node:fs"
import { mkdir, rename, rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { aptProxy, debianMirror } from "./debian-mirror.ts"
import { missingTools, run } from "./process.ts"

const SUITE = "trixie"
const PACKAGES = [
  ...["ca-certificates", "containerd", "containernetworking-plugins", "docker.io", "docker-cli"],
  ...["netavark", "oras", "podman", "runc", "skopeo"],
]
const BUILD_TIMEOUT_MS = 600_000

/** The programs that building it needs. */
export const NEWER_DEBIAN_TOOLS: readonly string[] = [
  "root",
  "debootstrap",
  "unshare",
  "pivot_root",
]

// A full change of root, not a chroot: runc refuses to pivot inside a chroot. The temporary folders
// are shared, so that workspaces have the same path on both sides.
const ENTER = `
set -e
root=$0
here=$PWD
mount --make-rprivate /
mount --bind "$root" "$root"
for shared in /tmp /dev /proc /sys; do mount --rbind $shared "$root$shared"; done
[ ! -e /etc/resolv.conf ] || cp -L /etc/resolv.conf "$root/etc/resolv.conf"
cd "$root"
mkdir -p old
pivot_root . old
umount -l old
cd "$here" 2>/dev/null || cd /
exec "$@"
`

/**
 * Gives the prefix that runs a program in the newer Debian; built once, then kept in the cache.
 * @returns undefined when it cannot be built here (told loudly)
 */
export async function newerDebian(): Promise<readonly string[] | undefined> {
  if (missingTools(...NEWER_DEBIAN_TOOLS).length > 0) return undefined
  const key = createHash("sha256")
    .update(JSON.stringify([SUITE, PACKAGES]))
    .digest("hex")
  const cache = process.env.SEALIFT_TEST_CACHE ?? join(tmpdir(), "sealift-test-cache")
  const root = join(cache, `${SUITE}-${key.slice(0, 16)}`)
  if (!existsSync(root) && !(await build(root))) return undefined
  return ["unshare", "--mount", "sh", "-c", ENTER, root]
}

async function build(root: string): Promise<boolean> {
  const growing = `${root}.${process.pid}`
  await mkdir(growing, { recursive: true })
  const { uri } = await debianMirror()
  const flags = ["--variant=minbase", `--include=${PACKAGES.join(",")}`]
  const command = ["debootstrap", ...flags, SUITE, growing, ...(uri === undefined ? [] : [uri])]
  const options = { env: await aptProxy(), timeoutMs: BUILD_TIMEOUT_MS, mayFail: true }
  const { code, stdout, stderr } = await run(command, options)
  if (code === 0) {
    await rename(growing, root).catch(() => undefined)
    return true
  }
  await rm(growing, { recursive: true, force: true })
  process.stderr.write(`SKIPPED for want of: Debian ${SUITE} (${(stdout + stderr).slice(-300)})\n`)
  return false
}
