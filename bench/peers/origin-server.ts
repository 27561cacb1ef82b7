/**
 * Registries with one image each, in a process of its own: ADDRESS REPOSITORY TAG IMAGE-FILE…. Tells
 * what it sent of the first one whenever it is asked.
 * @module
 */
import { readFileSync } from "node:fs"
import { parseImage } from "../layered-image.ts"
import { OriginRegistry } from "../origin-registry.ts"
import { hear, say } from "./lines.ts"

const [address, repository, tag, ...paths] = process.argv.slice(2) as [string, string, string]
const registries: OriginRegistry[] = []
for (const path of paths as string[]) {
  const registry = new OriginRegistry(parseImage(readFileSync(path, "utf8")), { repository, tag })
  await registry.start(address)
  registries.push(registry)
}
say({ event: "ready", urls: registries.map(({ url }) => url) })
while ((await hear()) !== undefined) {
  const { blobBytes, blobRequests } = registries[0]!
  say({ event: "sent", blobBytes, blobRequests })
}
process.exit(0)
