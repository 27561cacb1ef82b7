/**
 * An image of random layers, as the pull scenarios move it.
 * @module
 */
import { join } from "node:path"
import { buildImage, type Image } from "../layered-image.ts"

const LAYERS = 4
const WARM_UP_BYTES = 4 * 1024 ** 2

/** Where every registry of the suite has it. */
export const REPOSITORY = "team/app"
export const TAG = "1.0"

/** What every node has pulled before: the first pull of a new process measures its compiler. */
export function warmUpImage(folder: string): Promise<Image> {
  return randomImage(join(folder, "warm-up"), { sizeBytes: WARM_UP_BYTES, seed: 0 })
}

/** Builds an image of four layers whose sizes make up `sizeBytes`. */
export function randomImage(
  folder: string,
  { sizeBytes, seed }: { readonly sizeBytes: number; readonly seed: number },
): Promise<Image> {
  const randomBytes = Math.ceil(sizeBytes / LAYERS)
  const recipes = Array.from({ length: LAYERS }, (_, index) => {
    return { name: `layer ${index}`, randomBytes, seed: seed * LAYERS + index }
  })
  return buildImage(join(folder, "image"), recipes)
}
