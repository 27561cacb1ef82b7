/**
 * Fetches the objects of a plan, group by group, and times each; how one object is fetched is the
 * contender's own business.
 * @module
 */
import type { BenchObject, GroupTimes, ObjectPlan } from "../object-workload.ts"

/** Fetches one object, verified and written. */
export type FetchObject = (object: BenchObject) => Promise<void>

/** Fetches what comes before the clock starts. */
export async function fetchWarmUp(
  { warmUp, atOnce }: ObjectPlan,
  fetch: FetchObject,
): Promise<void> {
  await fetchAll(warmUp, atOnce, fetch)
}

/** Fetches all groups, one after the other. */
export async function fetchGroups(
  { groups, atOnce }: ObjectPlan,
  fetch: FetchObject,
): Promise<GroupTimes[]> {
  const times: GroupTimes[] = []
  for (const { name, objects } of groups) {
    const startMs = performance.now()
    const latenciesMs = await fetchAll(objects, atOnce, fetch)
    times.push({ name, seconds: (performance.now() - startMs) / 1000, latenciesMs })
  }
  return times
}

async function fetchAll(
  objects: readonly BenchObject[],
  atOnce: number,
  fetch: FetchObject,
): Promise<number[]> {
  const latenciesMs: number[] = Array.from({ length: objects.length }, () => 0)
  let next = 0
  const work = async () => {
    for (let index = next++; index < objects.length; index = next++) {
      const startMs = performance.now()
      await fetch(objects[index]!)
      latenciesMs[index] = performance.now() - startMs
    }
  }
  await Promise.all(Array.from({ length: atOnce }, work))
  return latenciesMs
}
