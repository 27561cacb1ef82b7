/** A process that holds the store of a directory until it is killed. */
import { systemClock } from "../../../src/core/clock.ts"
import { silentLogger } from "../../../src/core/log.ts"
import { MemoryMetrics } from "../../../src/core/metrics.ts"
import { openDiskStore } from "../../../src/store/disk-store.ts"

const directory = process.argv[2]!
const deps = { clock: systemClock, log: silentLogger, metrics: new MemoryMetrics() }
await openDiskStore(deps, { directory, quotaBytes: 2 ** 30 })
process.stdout.write("open\n")
process.stdin.resume()
