/**
 * Small OCI layouts, written by hand for tests that run no container.
 * @module
 */
import { createHash } from "node:crypto"
import { mkdir, writeFile } from "node:fs/promises"
import { join } from "node:path"

const INDEX_TYPE = "application/vnd.oci.image.index.v1+json"
const MANIFEST_TYPE = "application/vnd.oci.image.manifest.v1+json"
/** As an image's platform calls this machine. */
export const OWN_ARCHITECTURE: string = process.arch === "x64" ? "amd64" : process.arch

export interface LayoutFiles {
  /** Of what `index.json` names. */
  readonly digest: string
  /** By architecture: of each manifest, and of its config. */
  readonly manifests: Readonly<Record<string, { readonly digest: string; readonly config: string }>>
}

/** Writes a layout of one manifest, or of an index when there are several architectures. */
export async function writeLayoutFiles(
  folder: string,
  {
    architectures,
    content,
  }: { readonly architectures: readonly string[]; readonly content: string },
): Promise<LayoutFiles> {
  await mkdir(join(folder, "blobs/sha256"), { recursive: true })
  const put = async (mediaType: string, text: string) => {
    const hex = createHash("sha256").update(text).digest("hex")
    await writeFile(join(folder, "blobs/sha256", hex), text)
    return { mediaType, digest: `sha256:${hex}`, size: Buffer.byteLength(text) }
  }
  const manifests: Record<string, { digest: string; config: string }> = {}
  const entries: object[] = []
  for (const architecture of architectures) {
    const config = await put(
      "application/vnd.oci.image.config.v1+json",
      JSON.stringify({ architecture, os: "linux", content }),
    )
    const layer = await put("application/vnd.oci.image.layer.v1.tar", `${content} ${architecture}`)
    const text = JSON.stringify({ mediaType: MANIFEST_TYPE, config, layers: [layer] })
    const manifest = await put(MANIFEST_TYPE, text)
    manifests[architecture] = { digest: manifest.digest, config: config.digest }
    entries.push({ ...manifest, platform: { os: "linux", architecture } })
  }
  const index = JSON.stringify({ schemaVersion: 2, mediaType: INDEX_TYPE, manifests: entries })
  const top = entries.length === 1 ? entries[0]! : await put(INDEX_TYPE, index)
  await writeFile(join(folder, "oci-layout"), '{"imageLayoutVersion":"1.0.0"}')
  await writeFile(
    join(folder, "index.json"),
    JSON.stringify({ schemaVersion: 2, manifests: [top] }),
  )
  return { digest: (top as { digest: string }).digest, manifests }
}
