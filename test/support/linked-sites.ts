/**
 * Where the nodes of a rollout link what they activate: a folder for each node, and in it the link.
 * @module
 */
import { existsSync } from "node:fs"
import { mkdir, readFile } from "node:fs/promises"
import { join } from "node:path"
import type { SealiftNode } from "./sealift-node.ts"
import type { Workspace } from "./workspace.ts"

/** Filled in on each node. */
const NODE = "$\u007bnode}"

/** The links of some nodes, which all lead to one file of their release. */
export class LinkedSites {
  readonly #root: string
  readonly #file: string

  /** @param file - name of the file behind each link */
  static async open(
    workspace: Workspace,
    nodes: readonly SealiftNode[],
    file: string,
  ): Promise<LinkedSites> {
    const root = await workspace.folder("site")
    for (const { peerId } of nodes) await mkdir(join(root, peerId))
    return new LinkedSites(root, file)
  }

  private constructor(root: string, file: string) {
    this.#root = root
    this.#file = file
  }

  /** A path beside the link, as a plan says it for whatever node. */
  planned(name: string): string {
    return join(this.#root, NODE, name)
  }

  /** The same on one node. */
  at({ peerId }: SealiftNode, name: string): string {
    return join(this.#root, peerId, name)
  }

  /** What a plan says of its activation. */
  get activation(): object {
    return { files: { path: this.planned("current") } }
  }

  /** Gives the content to which a node's link leads, if there is one. */
  async contentAt(node: SealiftNode): Promise<string | undefined> {
    const path = join(this.at(node, "current"), this.#file)
    return existsSync(path) ? await readFile(path, "utf8") : undefined
  }

  async contents(nodes: readonly SealiftNode[]): Promise<readonly (string | undefined)[]> {
    return await Promise.all(nodes.map((node) => this.contentAt(node)))
  }
}
