/** The OCI distribution API, end point by end point (spec 1.1, Endpoints), over real HTTP. */
import { afterAll, beforeAll, describe, expect, test } from "vitest"
import { digestOf } from "../../../src/core/digest.ts"
import {
  blobOf,
  bytesOf,
  descriptorOf,
  imageOf,
  indexOf,
  jsonBytes,
  OCI_INDEX,
  OCI_MANIFEST,
  type TestImage,
} from "../../support/test-image.ts"
import { type Answer, type Node, World } from "./world.ts"

const world = new World()
let node: Node
const ABSENT = `sha256:${"0".repeat(64)}`

beforeAll(async () => {
  node = await world.node()
})
afterAll(() => world.close())

async function pushBlob(name: string, bytes: Uint8Array): Promise<Answer> {
  const path = `/v2/${name}/blobs/uploads/?digest=${digestOf(bytes)}`
  return node.fetch("POST", path, { body: bytes })
}

async function pushImage(name: string, reference: string, image: TestImage): Promise<Answer> {
  for (const child of image.children) await pushImage(name, child.digest, child)
  for (const blob of image.blobs) expect((await pushBlob(name, blob.bytes)).status).toBe(201)
  return putManifest(name, reference, image.bytes, image.mediaType)
}

function putManifest(name: string, reference: string, bytes: Uint8Array, type?: string) {
  const headers: Record<string, string> = type === undefined ? {} : { "content-type": type }
  return node.fetch("PUT", `/v2/${name}/manifests/${reference}`, { body: bytes, headers })
}

async function startUpload(name: string): Promise<string> {
  const answer = await node.fetch("POST", `/v2/${name}/blobs/uploads/`)
  expect(answer.status).toBe(202)
  return String(answer.headers.location)
}

describe("end-1: the version", () => {
  test.each(["GET", "HEAD"])("answers %s /v2/ and /v2", async (method) => {
    for (const path of ["/v2/", "/v2"]) {
      const answer = await node.fetch(method, path)
      expect(answer.status).toBe(200)
      expect(answer.headers["docker-distribution-api-version"]).toBe("registry/2.0")
    }
  })

  test.each(["/v2/x", "/v2/a/b/c", "/v2//tags/list"])("knows no route %s", async (path) => {
    const answer = await node.fetch("GET", path)
    expect(answer.status).toBe(404)
    expect(answer.code).toBe("UNSUPPORTED")
  })
})

describe("end-2: blobs", () => {
  const bytes = bytesOf("end-2", 10_000)
  const digest = digestOf(bytes)
  const path = `/v2/end2/app/blobs/${digest}`
  beforeAll(async () => {
    expect((await pushBlob("end2/app", bytes)).status).toBe(201)
  })

  test("sends a blob whole, with size and digest, and never content-coded", async () => {
    const answer = await node.fetch("GET", path, { headers: { "accept-encoding": "zstd, gzip" } })
    expect(answer.status).toBe(200)
    expect(Buffer.from(answer.bytes).equals(bytes)).toBe(true)
    expect(answer.headers["content-length"]).toBe("10000")
    expect(answer.headers["docker-content-digest"]).toBe(digest)
    expect(answer.headers["accept-ranges"]).toBe("bytes")
    expect(answer.headers["content-encoding"]).toBeUndefined()
  })

  test("tells a blob's size to HEAD", async () => {
    const answer = await node.fetch("HEAD", path)
    expect(answer.status).toBe(200)
    expect(answer.headers["content-length"]).toBe("10000")
    expect(answer.bytes.length).toBe(0)
  })

  test.each([
    ["bytes=0-0", 0, 1],
    ["bytes=100-199", 100, 200],
    ["bytes=9990-", 9_990, 10_000],
    ["bytes=0-", 0, 10_000],
    ["bytes=-10", 9_990, 10_000],
    ["bytes=-99999", 0, 10_000],
    ["bytes=9000-99999", 9_000, 10_000],
  ])("answers %s with 206 and the right Content-Range", async (range, start, end) => {
    const answer = await node.fetch("GET", path, { headers: { range } })
    expect(answer.status).toBe(206)
    expect(answer.headers["content-range"]).toBe(`bytes ${start}-${end - 1}/10000`)
    expect(Buffer.from(answer.bytes).equals(bytes.subarray(start, end))).toBe(true)
  })

  test.each(["bytes=10000-", "bytes=20000-20001", "bytes=-0"])(
    "refuses the range %s with 416 and the size",
    async (range) => {
      const answer = await node.fetch("GET", path, { headers: { range } })
      expect(answer.status).toBe(416)
      expect(answer.headers["content-range"]).toBe("bytes */10000")
    },
  )

  test.each(["bytes=5-1", "bytes=a-b", "lines=1-2", "bytes=0-1,5-6"])(
    "ignores the range %s",
    async (range) => {
      const answer = await node.fetch("GET", path, { headers: { range } })
      expect(answer.status).toBe(200)
      expect(answer.bytes.length).toBe(10_000)
    },
  )

  test.each(["GET", "HEAD"])("answers %s of an absent blob with 404", async (method) => {
    const answer = await node.fetch(method, `/v2/end2/app/blobs/${ABSENT}`)
    expect(answer.status).toBe(404)
    if (method === "GET") expect(answer.code).toBe("BLOB_UNKNOWN")
  })

  test("does not give a blob under a name that it does not have", async () => {
    const answer = await node.fetch("GET", `/v2/end2/other/blobs/${digest}`)
    expect(answer.status).toBe(404)
    expect(answer.code).toBe("BLOB_UNKNOWN")
  })

  test("refuses a malformed digest", async () => {
    const answer = await node.fetch("GET", "/v2/end2/app/blobs/sha256:xyz")
    expect(answer.status).toBe(400)
    expect(answer.code).toBe("DIGEST_INVALID")
  })

  test("keeps an empty blob", async () => {
    const empty = new Uint8Array(0)
    expect((await pushBlob("end2/app", empty)).status).toBe(201)
    const answer = await node.fetch("GET", `/v2/end2/app/blobs/${digestOf(empty)}`)
    expect([answer.status, answer.bytes.length]).toEqual([200, 0])
  })
})

describe("end-3: manifests", () => {
  const image = imageOf("end-3")
  beforeAll(async () => {
    expect((await pushImage("end3/app", "v1", image)).status).toBe(201)
  })

  test.each(["v1", image.digest])("gives the manifest %s byte by byte", async (reference) => {
    const answer = await node.fetch("GET", `/v2/end3/app/manifests/${reference}`)
    expect(answer.status).toBe(200)
    expect(Buffer.from(answer.bytes).equals(image.bytes)).toBe(true)
    expect(answer.headers["content-type"]).toBe(OCI_MANIFEST)
    expect(answer.headers["docker-content-digest"]).toBe(image.digest)
    const head = await node.fetch("HEAD", `/v2/end3/app/manifests/${reference}`)
    expect(head.headers["content-length"]).toBe(String(image.bytes.length))
    expect(head.headers["content-type"]).toBe(OCI_MANIFEST)
    expect(head.headers["docker-content-digest"]).toBe(image.digest)
  })

  test("says whose word a tag is", async () => {
    const answer = await node.fetch("GET", "/v2/end3/app/manifests/v1")
    expect(answer.headers["sealift-tag-source"]).toBe("own-claim")
  })

  test("answers a range on a manifest with the whole", async () => {
    const headers = { range: "bytes=0-" }
    const answer = await node.fetch("GET", "/v2/end3/app/manifests/v1", { headers })
    expect([answer.status, answer.bytes.length]).toEqual([200, image.bytes.length])
  })

  test.each(["nope", ABSENT, ".bad", "a".repeat(129)])(
    "answers 404 for the reference %s",
    async (reference) => {
      const answer = await node.fetch("GET", `/v2/end3/app/manifests/${reference}`)
      expect([answer.status, answer.code]).toEqual([404, "MANIFEST_UNKNOWN"])
    },
  )

  test.each([
    ["UPPER/app", "NAME_INVALID"],
    ["a_-b/app", "NAME_INVALID"],
    [`${"a".repeat(250)}/bcdefg`, "NAME_INVALID"],
  ])("refuses the name %s", async (name, code) => {
    const answer = await node.fetch("GET", `/v2/${name}/manifests/latest`)
    expect([answer.status, answer.code]).toEqual([400, code])
  })
})

describe("end-4, end-5, end-6, end-13: uploads", () => {
  const bytes = bytesOf("upload", 3_000)
  const digest = digestOf(bytes)
  const name = "uploads/app"

  async function expectStored(): Promise<void> {
    const answer = await node.fetch("GET", `/v2/${name}/blobs/${digest}`)
    expect(Buffer.from(answer.bytes).equals(bytes)).toBe(true)
    expect((await node.fetch("DELETE", `/v2/${name}/blobs/${digest}`)).status).toBe(202)
  }

  test("takes a blob by POST and PUT", async () => {
    const location = await startUpload(name)
    const answer = await node.fetch("PUT", `${location}?digest=${digest}`, { body: bytes })
    expect(answer.status).toBe(201)
    expect(answer.headers.location).toBe(`/v2/${name}/blobs/${digest}`)
    expect(answer.headers["docker-content-digest"]).toBe(digest)
    await expectStored()
  })

  test("takes a blob by one POST", async () => {
    const answer = await pushBlob(name, bytes)
    expect(answer.status).toBe(201)
    expect(answer.headers.location).toBe(`/v2/${name}/blobs/${digest}`)
    await expectStored()
  })

  test("takes a blob as one stream by PATCH and an empty PUT", async () => {
    const location = await startUpload(name)
    const patch = await node.fetch("PATCH", location, { body: bytes })
    expect(patch.status).toBe(202)
    expect(patch.headers.range).toBe("0-2999")
    const next = String(patch.headers.location)
    const put = await node.fetch("PUT", `${next}?digest=${digest}`)
    expect(put.status).toBe(201)
    await expectStored()
  })

  test("takes a blob in chunks, the last one with PUT, and tells where it stands", async () => {
    const location = await startUpload(name)
    const first = await node.fetch("PATCH", location, {
      body: bytes.subarray(0, 1_000),
      headers: { "content-range": "0-999" },
    })
    expect([first.status, first.headers.range]).toEqual([202, "0-999"])
    const state = await node.fetch("GET", location)
    expect([state.status, state.headers.range]).toEqual([204, "0-999"])
    expect(state.headers.location).toBe(location)
    await node.fetch("PATCH", location, {
      body: bytes.subarray(1_000, 2_000),
      headers: { "content-range": "1000-1999" },
    })
    const last = await node.fetch("PUT", `${location}?digest=${digest}`, {
      body: bytes.subarray(2_000),
      headers: { "content-range": "2000-2999" },
    })
    expect(last.status).toBe(201)
    await expectStored()
  })

  test.each(["1000-1999", "5-1004", "0-1000"])(
    "refuses the chunk %s that does not follow, and the upload goes on",
    async (range) => {
      const location = await startUpload(name)
      const start = { body: bytes.subarray(0, 1_000), headers: { "content-range": "0-999" } }
      if (range !== "1000-1999") await node.fetch("PATCH", location, start)
      const answer = await node.fetch("PATCH", location, {
        body: bytesOf("other", 1_000),
        headers: { "content-range": range },
      })
      expect(answer.status).toBe(416)
      expect(answer.headers.range).toBe(range === "1000-1999" ? "0-0" : "0-999")
      expect(answer.headers.location).toBe(location)
      const rest = range === "1000-1999" ? bytes : bytes.subarray(1_000)
      const put = await node.fetch("PUT", `${location}?digest=${digest}`, { body: rest })
      expect(put.status).toBe(201)
      await expectStored()
    },
  )

  test.each(["x-y", "5-1", "bytes"])("refuses the malformed Content-Range %s", async (range) => {
    const location = await startUpload(name)
    const headers = { "content-range": range }
    const answer = await node.fetch("PATCH", location, { body: bytes, headers })
    expect([answer.status, answer.code]).toEqual([400, "SIZE_INVALID"])
  })

  test("refuses a chunk whose length differs from its Content-Range", async () => {
    const location = await startUpload(name)
    const headers = { "content-range": "0-10" }
    const answer = await node.fetch("PATCH", location, { body: bytes, headers })
    expect([answer.status, answer.code]).toEqual([400, "SIZE_INVALID"])
  })

  test("refuses a wrong digest and keeps nothing", async () => {
    const location = await startUpload(name)
    const put = await node.fetch("PUT", `${location}?digest=${ABSENT}`, { body: bytes })
    expect([put.status, put.code]).toEqual([400, "DIGEST_INVALID"])
    expect((await node.fetch("GET", location)).status).toBe(404)
    expect(node.store.stat(digest)).toBeUndefined()
    const one = await node.fetch("POST", `/v2/${name}/blobs/uploads/?digest=${ABSENT}`, {
      body: bytes,
    })
    expect([one.status, one.code]).toEqual([400, "DIGEST_INVALID"])
  })

  test("refuses to close an upload without a digest, and the upload goes on", async () => {
    const location = await startUpload(name)
    const answer = await node.fetch("PUT", location, { body: bytes })
    expect([answer.status, answer.code]).toEqual([400, "DIGEST_INVALID"])
    expect((await node.fetch("GET", location)).status).toBe(204)
  })

  test("cancels an upload", async () => {
    const location = await startUpload(name)
    expect((await node.fetch("DELETE", location)).status).toBe(204)
    const answer = await node.fetch("GET", location)
    expect([answer.status, answer.code]).toEqual([404, "BLOB_UPLOAD_UNKNOWN"])
  })

  test("knows an upload only under the name that opened it", async () => {
    const location = (await startUpload(name)).replace(name, "other/app")
    const answer = await node.fetch("PATCH", location, { body: bytes })
    expect([answer.status, answer.code]).toEqual([404, "BLOB_UPLOAD_UNKNOWN"])
  })
})

describe("end-7: pushing manifests", () => {
  const image = imageOf("end-7")

  test("answers with location and digest", async () => {
    const answer = await pushImage("end7/app", "v1", image)
    expect(answer.status).toBe(201)
    expect(answer.headers.location).toBe(`/v2/end7/app/manifests/${image.digest}`)
    expect(answer.headers["docker-content-digest"]).toBe(image.digest)
    expect(answer.headers["oci-subject"]).toBeUndefined()
  })

  test("refuses a manifest whose blobs were not pushed under its name", async () => {
    const answer = await putManifest("end7/other", "v1", image.bytes, image.mediaType)
    expect([answer.status, answer.code]).toEqual([404, "MANIFEST_BLOB_UNKNOWN"])
    expect((await node.fetch("GET", "/v2/end7/other/manifests/v1")).status).toBe(404)
  })

  test("refuses a descriptor with the wrong size", async () => {
    const layer = blobOf(bytesOf("sized", 100))
    await pushBlob("end7/app", layer.bytes)
    const config = { ...descriptorOf(layer), size: 99 }
    const bytes = jsonBytes({ schemaVersion: 2, mediaType: OCI_MANIFEST, config, layers: [] })
    const answer = await putManifest("end7/app", "sized", bytes, OCI_MANIFEST)
    expect(answer.code).toBe("MANIFEST_BLOB_UNKNOWN")
  })

  test("refuses a digest that is not the manifest's", async () => {
    const answer = await putManifest("end7/app", ABSENT, image.bytes, image.mediaType)
    expect([answer.status, answer.code]).toEqual([400, "DIGEST_INVALID"])
  })

  test.each([
    ["no JSON", new TextEncoder().encode("no JSON"), OCI_MANIFEST],
    ["a JSON array", jsonBytes([]), OCI_MANIFEST],
    ["a key that stands twice", new TextEncoder().encode('{"a":1,"a":2}'), OCI_MANIFEST],
    [
      "a media type that differs from the header",
      jsonBytes({ mediaType: OCI_INDEX }),
      OCI_MANIFEST,
    ],
    ["a descriptor without size", jsonBytes({ config: { digest: ABSENT } }), OCI_MANIFEST],
    [
      "a layer by a digest that is not SHA-256",
      jsonBytes({ layers: [{ digest: "md5:abc", size: 1 }] }),
      OCI_MANIFEST,
    ],
  ])("refuses %s", async (_what, bytes, type) => {
    const answer = await putManifest("end7/app", "bad", bytes, type)
    expect([answer.status, answer.code]).toEqual([400, "MANIFEST_INVALID"])
  })

  test.each(["nonsense", "a/b@c"])("refuses the media type %s", async (type) => {
    const answer = await putManifest("end7/app", "bad", jsonBytes({}), type)
    expect(answer.status).toBe(400)
  })

  test("refuses a manifest over 4 MiB with 413, however it is sent", async () => {
    const bytes = jsonBytes({ a: "x".repeat(4 * 1024 * 1024) })
    const answer = await putManifest("end7/app", "large", bytes, OCI_MANIFEST)
    expect(answer.status).toBe(413)
  })

  test("carries an unknown media type and unknown fields verbatim", async () => {
    const type = "application/vnd.example.model.v1+json"
    const weights = blobOf(bytesOf("weights", 500), "application/vnd.example.weights")
    await pushBlob("end7/model", weights.bytes)
    const bytes = jsonBytes({ mediaType: type, layers: [descriptorOf(weights)], extra: { a: [1] } })
    expect((await putManifest("end7/model", "v1", bytes, type)).status).toBe(201)
    const answer = await node.fetch("GET", "/v2/end7/model/manifests/v1")
    expect(answer.headers["content-type"]).toBe(type)
    expect(Buffer.from(answer.bytes).equals(bytes)).toBe(true)
  })

  test("takes the media type from the manifest when the header is missing", async () => {
    const bytes = jsonBytes({ schemaVersion: 2, mediaType: OCI_INDEX, manifests: [] })
    expect((await putManifest("end7/app", "typeless", bytes)).status).toBe(201)
    const answer = await node.fetch("HEAD", "/v2/end7/app/manifests/typeless")
    expect(answer.headers["content-type"]).toBe(OCI_INDEX)
  })

  test("takes an index, also one whose images are not all here", async () => {
    const index = indexOf([image, imageOf("end-7 missing")])
    const answer = await putManifest("end7/app", "index", index.bytes, index.mediaType)
    expect(answer.status).toBe(201)
    expect((await node.fetch("GET", "/v2/end7/app/manifests/index")).status).toBe(200)
  })

  test("needs no layer that is not distributable", async () => {
    const config = blobOf(bytesOf("config", 10))
    await pushBlob("end7/app", config.bytes)
    const foreign = {
      mediaType: "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip",
      digest: ABSENT,
      size: 5,
    }
    const body = { schemaVersion: 2, config: descriptorOf(config), layers: [foreign] }
    const answer = await putManifest("end7/app", "foreign", jsonBytes(body), OCI_MANIFEST)
    expect(answer.status).toBe(201)
    expect((await node.fetch("GET", "/v2/end7/app/manifests/foreign")).status).toBe(200)
  })

  test("refuses to push under a name of an upstream", async () => {
    const answer = await putManifest("quay.io/team/app", "v1", image.bytes, image.mediaType)
    expect([answer.status, answer.code]).toEqual([405, "UNSUPPORTED"])
    const upload = await node.fetch("POST", "/v2/quay.io/team/app/blobs/uploads/")
    expect(upload.status).toBe(405)
  })
})

describe("end-8: tags", () => {
  const tags = ["Beta", "alpha", "gamma", "v1", "v10", "v2"]
  const sorted = ["alpha", "Beta", "gamma", "v1", "v10", "v2"]
  beforeAll(async () => {
    const image = imageOf("end-8")
    for (const tag of tags) await pushImage("end8/app", tag, image)
  })

  const list = async (query: string) => {
    const answer = await node.fetch("GET", `/v2/end8/app/tags/list${query}`)
    const body = JSON.parse(Buffer.from(answer.bytes).toString()) as {
      name: string
      tags: string[]
    }
    return { ...body, status: answer.status, link: answer.headers.link }
  }

  test("lists tags in lexical order", async () => {
    expect(await list("")).toMatchObject({ status: 200, name: "end8/app", tags: sorted })
  })

  test("pages by n and last, and links the next page", async () => {
    const found: string[] = []
    let query = "?n=4"
    for (let page = 0; page < 5; page++) {
      const answer = await list(query)
      found.push(...answer.tags)
      if (answer.link === undefined) break
      query = String(answer.link).replace(/^<[^?]*(\?[^>]*)>; rel="next"$/, "$1")
    }
    expect(found).toEqual(sorted)
  })

  test.each([
    ["?n=0", []],
    ["?n=2", ["alpha", "Beta"]],
    ["?last=gamma", ["v1", "v10", "v2"]],
    ["?n=1&last=missing", ["v1"]],
    ["?n=100&last=v2", []],
    ["?n=6", sorted],
  ])("answers %s", async (query, expected) => {
    const answer = await list(query)
    expect(answer.tags).toEqual(expected)
    if (query === "?n=0" || query === "?n=6") expect(answer.link).toBeUndefined()
  })

  test.each(["?n=x", "?n=-1", "?last=a/b"])("refuses %s", async (query) => {
    expect((await node.fetch("GET", `/v2/end8/app/tags/list${query}`)).status).toBe(400)
  })

  test("answers 404 for a name that nobody pushed", async () => {
    const answer = await node.fetch("GET", "/v2/end8/none/tags/list")
    expect([answer.status, answer.code]).toEqual([404, "NAME_UNKNOWN"])
  })
})

describe("end-9: deleting manifests and tags", () => {
  const image = imageOf("end-9")
  beforeAll(async () => {
    await pushImage("end9/app", "a", image)
    await pushImage("end9/app", "b", image)
    await pushImage("end9/app", "c", image)
  })

  test("deletes one tag only", async () => {
    expect((await node.fetch("DELETE", "/v2/end9/app/manifests/a")).status).toBe(202)
    expect((await node.fetch("GET", "/v2/end9/app/manifests/a")).status).toBe(404)
    expect((await node.fetch("GET", "/v2/end9/app/manifests/b")).status).toBe(200)
    expect((await node.fetch("DELETE", "/v2/end9/app/manifests/a")).status).toBe(404)
  })

  test("deletes a manifest with all its tags; it can be pushed again", async () => {
    const path = `/v2/end9/app/manifests/${image.digest}`
    expect((await node.fetch("DELETE", path)).status).toBe(202)
    for (const reference of [image.digest, "b", "c"]) {
      expect((await node.fetch("GET", `/v2/end9/app/manifests/${reference}`)).status).toBe(404)
    }
    const list = await node.fetch("GET", "/v2/end9/app/tags/list")
    expect(JSON.parse(Buffer.from(list.bytes).toString())).toMatchObject({ tags: [] })
    expect((await pushImage("end9/app", "b", image)).status).toBe(201)
    expect((await node.fetch("GET", path)).status).toBe(200)
  })

  test("answers 404 for a manifest that is not there", async () => {
    const answer = await node.fetch("DELETE", `/v2/end9/app/manifests/${ABSENT}`)
    expect([answer.status, answer.code]).toEqual([404, "MANIFEST_UNKNOWN"])
  })
})

describe("end-10: deleting blobs", () => {
  test("takes a blob away under one name, and from the disk with the last name", async () => {
    const bytes = bytesOf("end-10", 100)
    const digest = digestOf(bytes)
    await pushBlob("end10/a", bytes)
    await pushBlob("end10/b", bytes)
    expect((await node.fetch("DELETE", `/v2/end10/a/blobs/${digest}`)).status).toBe(202)
    expect((await node.fetch("GET", `/v2/end10/a/blobs/${digest}`)).status).toBe(404)
    expect((await node.fetch("GET", `/v2/end10/b/blobs/${digest}`)).status).toBe(200)
    expect((await node.fetch("DELETE", `/v2/end10/b/blobs/${digest}`)).status).toBe(202)
    expect(node.store.stat(digest)).toBeUndefined()
    const again = await node.fetch("DELETE", `/v2/end10/b/blobs/${digest}`)
    expect([again.status, again.code]).toEqual([404, "BLOB_UNKNOWN"])
  })
})

describe("end-11: mounting", () => {
  const bytes = bytesOf("end-11", 100)
  const digest = digestOf(bytes)
  beforeAll(async () => {
    await pushBlob("end11/from", bytes)
  })
  const mount = (to: string, query: string) =>
    node.fetch("POST", `/v2/${to}/blobs/uploads/?mount=${digest}${query}`)

  test("mounts a blob from a name that has it", async () => {
    const answer = await mount("end11/to", "&from=end11/from")
    expect(answer.status).toBe(201)
    expect(answer.headers.location).toBe(`/v2/end11/to/blobs/${digest}`)
    expect((await node.fetch("GET", `/v2/end11/to/blobs/${digest}`)).status).toBe(200)
  })

  test("opens an upload when the other name does not have it", async () => {
    const answer = await mount("end11/none", "&from=end11/empty")
    expect(answer.status).toBe(202)
    expect(String(answer.headers.location)).toContain("/v2/end11/none/blobs/uploads/")
    expect((await node.fetch("GET", `/v2/end11/none/blobs/${digest}`)).status).toBe(404)
  })

  test("finds a pushed blob by itself when no name is given", async () => {
    expect((await mount("end11/anonymous", "")).status).toBe(201)
  })

  test("opens an upload for a blob that is not here", async () => {
    const path = `/v2/end11/to/blobs/uploads/?mount=${ABSENT}&from=end11/from`
    expect((await node.fetch("POST", path)).status).toBe(202)
  })
})

describe("end-12: referrers", () => {
  const subject = imageOf("end-12")
  const referrers = async (query = "", digest: string = subject.digest) => {
    const answer = await node.fetch("GET", `/v2/end12/app/referrers/${digest}${query}`)
    const body = JSON.parse(Buffer.from(answer.bytes).toString()) as {
      manifests: { digest: string; artifactType?: string; annotations?: unknown }[]
    }
    return { ...body, status: answer.status, headers: answer.headers }
  }
  const sbom = imageOf("sbom", {
    extra: {
      artifactType: "application/vnd.example.sbom",
      subject: descriptorOf(subject),
      annotations: { "org.example.format": "json" },
    },
  })
  const signature = imageOf("signature", { extra: { subject: descriptorOf(subject) } })
  const list = jsonBytes({
    schemaVersion: 2,
    mediaType: OCI_INDEX,
    manifests: [],
    subject: descriptorOf(subject),
  })

  test("takes referrers before their subject, and says that it noted it", async () => {
    for (const image of [sbom, signature]) {
      const answer = await pushImage("end12/app", image.digest, image)
      expect(answer.status).toBe(201)
      expect(answer.headers["oci-subject"]).toBe(subject.digest)
    }
    const answer = await putManifest("end12/app", "list", list, OCI_INDEX)
    expect(answer.headers["oci-subject"]).toBe(subject.digest)
    await pushImage("end12/app", "v1", subject)
  })

  test("lists so many bytes of referrers and no more", async () => {
    const subject = { ...descriptorOf(imageOf("annotated")), digest: ABSENT }
    const config = blobOf(bytesOf("{}", 2), "application/vnd.oci.empty.v1+json")
    await pushBlob("end12/large", config.bytes)
    for (let index = 0; index < 6; index++) {
      const annotations = { index: String(index), large: "x".repeat(3 * 1024 * 1024) }
      const own = { schemaVersion: 2, mediaType: OCI_MANIFEST, config: descriptorOf(config) }
      const bytes = jsonBytes({ ...own, layers: [], subject, annotations })
      const answer = await putManifest("end12/large", digestOf(bytes), bytes, OCI_MANIFEST)
      expect(answer.status).toBe(201)
    }
    const answer = await node.fetch("GET", `/v2/end12/large/referrers/${ABSENT}`)
    expect(answer.status).toBe(200)
    const { manifests } = JSON.parse(Buffer.from(answer.bytes).toString()) as { manifests: [] }
    expect(manifests).toHaveLength(5)
  })

  test("lists referrers with artifact type and annotations", async () => {
    const { status, headers, manifests } = await referrers()
    expect(status).toBe(200)
    expect(headers["content-type"]).toBe(OCI_INDEX)
    const types = Object.fromEntries(manifests.map((one) => [one.digest, one.artifactType]))
    expect(types).toEqual({
      [sbom.digest]: "application/vnd.example.sbom",
      [signature.digest]: "application/vnd.oci.image.config.v1+json",
      [digestOf(list)]: undefined,
    })
    const found = manifests.find(({ digest }) => digest === sbom.digest)
    expect(found?.annotations).toEqual({ "org.example.format": "json" })
  })

  test("filters by artifact type and says so", async () => {
    const answer = await referrers("?artifactType=application/vnd.example.sbom")
    expect(answer.headers["oci-filters-applied"]).toBe("artifactType")
    expect(answer.manifests.map(({ digest }) => digest)).toEqual([sbom.digest])
  })

  test("gives an empty index when nothing refers to a digest", async () => {
    expect(await referrers("", ABSENT)).toMatchObject({ status: 200, manifests: [] })
  })

  test("refuses a malformed digest", async () => {
    const answer = await node.fetch("GET", "/v2/end12/app/referrers/latest")
    expect(answer.status).toBe(400)
  })

  test("forgets a referrer that is deleted", async () => {
    await node.fetch("DELETE", `/v2/end12/app/manifests/${sbom.digest}`)
    const { manifests } = await referrers()
    expect(manifests.map(({ digest }) => digest)).not.toContain(sbom.digest)
  })
})

test("counts requests by route and status, and bytes sent", () => {
  const labels = { route: "blob", method: "GET", status: "206" }
  expect(node.metrics.value("sealift_registry_requests_total", labels)).toBeGreaterThan(5)
  expect(node.metrics.value("sealift_registry_sent_bytes_total")).toBeGreaterThan(10_000)
})
