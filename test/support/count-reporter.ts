/**
 * Ends a run with what CI reads: a line `failed test: FILE > NAME: MESSAGE` for each that failed, then
 * the one plain line `N passed, N failed, N skipped`.
 */
import type { Reporter, SerializedError, TestModule } from "vitest/node"

/** Counts what really ran; a module that failed to load and an unhandled error count as failures. */
export default class CountReporter implements Reporter {
  onTestRunEnd(modules: readonly TestModule[], unhandled: readonly SerializedError[]): void {
    let passed = 0
    let failed = unhandled.length
    const failures = unhandled.map((error) => `outside any test: ${firstLine(error)}`)
    let skipped = 0
    for (const module of modules) {
      let failedHere = 0
      for (const test of module.children.allTests()) {
        const { state, errors } = test.result()
        if (state === "passed") passed++
        else if (state === "failed") {
          failedHere++
          failures.push(`${module.relativeModuleId} > ${test.fullName}: ${firstLine(errors[0])}`)
        } else skipped++
      }
      if (module.state() === "failed" && failedHere === 0) {
        failedHere = 1
        const hook = [...module.errors(), ...suiteErrors(module)][0]
        failures.push(`${module.relativeModuleId}: ${firstLine(hook)}`)
      }
      failed += failedHere
    }
    const skips = skipped === 0 ? "" : `, ${skipped} skipped`
    for (const failure of failures) process.stdout.write(`\nfailed test: ${failure}`)
    process.stdout.write(`\n${passed} passed, ${failed} failed${skips}\n`)
  }
}

/** What hooks of a module's suites threw. */
function* suiteErrors(module: TestModule): Generator<SerializedError> {
  for (const suite of module.children.allSuites()) yield* suite.errors()
}

const firstLine = (error: SerializedError | undefined): string =>
  error?.message.split("\n")[0] ?? "no error was told"
