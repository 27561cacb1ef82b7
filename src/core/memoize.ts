/**
 * A bounded memory of a pure function.
 * @module
 */

/**
 * Gives a function that remembers what it gave; the answer that is remembered longest gives way.
 * What is undefined, or thrown, is not remembered.
 * @param countMax - answers that are kept at most
 */
export function memoize<Key, Value>(
  make: (key: Key) => Value,
  countMax: number,
): (key: Key) => Value {
  const known = new Map<Key, Value>()
  return (key) => {
    const found = known.get(key)
    if (found !== undefined) return found
    const made = make(key)
    if (made === undefined) return made
    const [oldest] = known.keys()
    if (known.size >= countMax && oldest !== undefined) known.delete(oldest)
    known.set(key, made)
    return made
  }
}
