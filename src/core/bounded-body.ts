/**
 * Bodies of answers that are read whole, but no further than they may be long.
 * @module
 */

/**
 * Reads a body.
 * @param tooLong - makes the error of one that has more bytes than allowed
 * @throws what `tooLong` gives, or what the body fails with
 */
export async function readBoundedBody(
  body: AsyncIterable<Uint8Array>,
  bytesMax: number,
  tooLong: () => Error,
): Promise<Uint8Array> {
  const parts: Uint8Array[] = []
  let sizeBytes = 0
  for await (const part of body) {
    sizeBytes += part.length
    if (sizeBytes > bytesMax) throw tooLong()
    parts.push(part)
  }
  return Buffer.concat(parts)
}
