/** Ends a run with the one plain line that CI reads: `N passed, N failed, N skipped`. */
import type { Reporter, TestModule } from "vitest/node"

/** Counts what really ran; a module that failed to load and an unhandled error count as failures. */
export default class CountReporter implements Reporter {
  onTestRunEnd(modules: readonly TestModule[], unhandled: readonly unknown[]): void {
    let passed = 0
    let failed = unhandled.length
    let skipped = 0
    for (const module of modules) {
      let failedHere = 0
      for (const test of module.children.allTests()) {
        const { state } = test.result()
        if (state === "passed") passed++
        else if (state === "failed") failedHere++
        else skipped++
      }
      if (module.state() === "failed" && failedHere === 0) failedHere = 1
      failed += failedHere
    }
    const skips = skipped === 0 ? "" : `, ${skipped} skipped`
    process.stdout.write(`\n${passed} passed, ${failed} failed${skips}\n`)
  }
}
