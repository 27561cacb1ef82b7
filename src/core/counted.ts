/**
 * Numbers of things, for people.
 * @module
 */

/** Writes a number with what it counts: `1 node`, `2 nodes`. @param one - takes an `s` for several */
export function counted(count: number, one: string): string {
  return `${count} ${one}${count === 1 ? "" : "s"}`
}
