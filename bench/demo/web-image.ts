/**
 * The image that serves the model: a small server and what it shows, in a registry of its own. The
 * runtime is none of it: the machine's own stands in, as each node's configuration says.
 * @module
 */
import { join } from "node:path"
import type { Workspace } from "../../test/support/workspace.ts"
import { buildImage, type Image, type LayerRecipe } from "../layered-image.ts"
import { OriginRegistry } from "../origin-registry.ts"

/** Where the container finds the runtime. */
export const RUNTIME = "/runtime/node"
const REGISTRY = "demo"
const REPOSITORY = "team/web"
const TAG = "1.0"
const PAGES_BYTES = 2 * 1024 * 1024

const SERVER = `import { createServer } from "node:http"
createServer((_, answer) => answer.end("web ${TAG}")).listen(process.env.PORT, "127.0.0.1")
process.on("SIGTERM", () => process.exit(0))
`
const LAYERS: readonly LayerRecipe[] = [
  { name: "pages", randomBytes: PAGES_BYTES, seed: 2 },
  { name: "server", text: SERVER, path: "app/server.mjs" },
]

/** The image, and where it is to be had. */
export interface WebImage {
  readonly image: Image
  /** As `publish` takes it. */
  readonly reference: string
  readonly upstreams: Readonly<Record<string, string>>
  /** What its container answers. */
  readonly answer: string
}

/** Builds it, and starts its registry. */
export async function serveWebImage(workspace: Workspace): Promise<WebImage> {
  const folder = join(workspace.root, "web-image")
  const image = await buildImage(folder, LAYERS, [RUNTIME, "/app/server.mjs"])
  const registry = new OriginRegistry(image, { repository: REPOSITORY, tag: TAG })
  await registry.start()
  workspace.defer(() => registry.kill())
  return {
    image,
    reference: `oci:${REGISTRY}/${REPOSITORY}:${TAG}`,
    upstreams: { [REGISTRY]: registry.url },
    answer: `web ${TAG}`,
  }
}
