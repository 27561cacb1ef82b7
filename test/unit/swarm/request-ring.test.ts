/** The ring against a plain array, over random histories. */
import fc from "fast-check"
import { expect, test } from "vitest"
import { RequestRing } from "../../../src/swarm/request-ring.ts"

type Request = readonly [index: number, begin: number, length: number]

function contents(ring: RequestRing): Request[] {
  return Array.from({ length: ring.count }, (_, place) => [
    ring.index(place),
    ring.begin(place),
    ring.length(place),
  ])
}

test("does what an array does, also past its first capacity", () => {
  const step = fc.tuple(fc.nat(5), fc.nat(20))
  fc.assert(
    fc.property(fc.array(step, { maxLength: 300 }), (steps) => {
      const ring = new RequestRing(4)
      let model: Request[] = []
      let next = 0
      for (const [kind, value] of steps) {
        if (kind <= 2) {
          const request: Request = [next, value * 16_384, 16_384 + value]
          next++
          ring.push(...request)
          model.push(request)
        } else if (kind === 3 && model.length > 0) {
          ring.shift()
          model.shift()
        } else if (kind === 4 && model.length > 0) {
          const place = value % model.length
          ring.remove(place)
          model.splice(place, 1)
        } else if (kind === 5 && value === 0) {
          ring.clear()
          model = []
        }
        expect(contents(ring)).toEqual(model)
      }
      const wanted = model.at(-1)
      if (wanted !== undefined) {
        expect(ring.find(wanted[0], wanted[1])).toBe(model.length - 1)
        expect(ring.find(wanted[0], wanted[1] + 1)).toBe(-1)
      }
    }),
    { numRuns: 100 },
  )
})
