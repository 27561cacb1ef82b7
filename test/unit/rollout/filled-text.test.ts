/** What is filled in on the node. */
import { expect, test } from "vitest"
import { fillingOf, fillText } from "../../../src/rollout/filled-text.ts"
import { releaseAt } from "../../support/opened-release.ts"

const filling = fillingOf("12D3KooWNode", releaseAt("/opened/a b", 3))

test("the node, the release and the path are filled in, as often as they are there", () => {
  const text = `\${node} \${release} \${path}\${path}`
  expect(fillText(text, filling)).toBe("12D3KooWNode acme/model@3 /opened/a b/opened/a b")
})

test("in URLs they are percent-encoded", () => {
  const text = `https://a.example/\${release}?p=\${path}`
  const filled = fillText(text, filling, encodeURIComponent)
  expect(filled).toBe("https://a.example/acme%2Fmodel%403?p=%2Fopened%2Fa%20b")
})

test("what was filled in is not filled in again, and what has another name stays", () => {
  const odd = { ...filling, path: `/opened/\${node}/$&` }
  expect(fillText(`\${path}`, odd)).toBe(`/opened/\${node}/$&`)
  expect(fillText(`\${HOME} $path \${ node} \${Path}`, filling)).toBe(
    `\${HOME} $path \${ node} \${Path}`,
  )
})
