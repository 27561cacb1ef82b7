/**
 * CPU profiles of what is measured, without the process's start: `BENCH_PROFILE=FOLDER` asks for them.
 * @module
 */
import { mkdirSync, writeFileSync } from "node:fs"
import { Session } from "node:inspector/promises"
import { join } from "node:path"

const INTERVAL_US = 200

/** Begins a profile, if one is asked for. @returns the way to end it and write `NAME.cpuprofile` */
export async function startProfile(name: string): Promise<() => Promise<void>> {
  const folder = process.env.BENCH_PROFILE
  if (folder === undefined) return async () => {}
  const session = new Session()
  session.connect()
  await session.post("Profiler.enable")
  await session.post("Profiler.setSamplingInterval", { interval: INTERVAL_US })
  await session.post("Profiler.start")
  return async () => {
    const { profile } = await session.post("Profiler.stop")
    mkdirSync(folder, { recursive: true })
    writeFileSync(join(folder, `${name}.cpuprofile`), JSON.stringify(profile))
  }
}
